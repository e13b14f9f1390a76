package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate reports everything wrong with the schema itself: repeated or
// malformed names, a name that is also a group, defaults and options that
// break their own rules, conditions on fields that are not there.
func (s Schema) Validate() error {
	var errs []error
	fail := func(f Field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("field %q: "+format, append([]any{f.Name}, args...)...))
	}
	seen := map[string]bool{}
	for _, f := range s.Fields {
		if seen[f.Name] {
			fail(f, "is listed twice")
		}
		seen[f.Name] = true
		if !validName(f.Name) {
			fail(f, "the name must be letters, digits and _ in parts joined by dots")
		}
		if len(s.group(f.Name)) > 0 {
			fail(f, "is a field and a group at once")
		}
		if f.Type == Select && len(f.Options) == 0 {
			fail(f, "a select needs options")
		}
		if _, err := f.Check(f.Default); err != nil {
			fail(f, "the default %w", err)
		}
		if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
			fail(f, "min is above max")
		}
		if !slices.Contains([]Resume{"", Apply, Keep, Reset, Forbid}, f.Resume) {
			fail(f, "resume must be apply, keep, reset or forbid, not %q", f.Resume)
		}
		if err := s.validateCondition(f); err != nil {
			fail(f, "%w", err)
		}
	}
	return errors.Join(errs...)
}

func (s Schema) validateCondition(f Field) error {
	if f.Condition == nil {
		return nil
	}
	control, ok := s.Field(f.Condition.Field)
	if !ok {
		return fmt.Errorf("the condition names the unknown field %q", f.Condition.Field)
	}
	wanted, ok := toList(f.Condition.Value)
	if !ok {
		wanted = []any{f.Condition.Value}
	}
	for _, v := range wanted {
		if _, err := control.Check(v); err != nil {
			return fmt.Errorf("the condition can never hold: %s %w", control.Name, err)
		}
	}
	for at, steps := control, 0; at.Condition != nil; steps++ {
		if steps > len(s.Fields) {
			return fmt.Errorf("its conditions run in a circle")
		}
		if at, ok = s.Field(at.Condition.Field); !ok {
			break
		}
	}
	return nil
}

// Validate reports preset values that are no valid values of the schema.
func (p Presets) Validate(s Schema) error {
	var errs []error
	for _, preset := range slices.Sorted(maps.Keys(p)) {
		for _, name := range slices.Sorted(maps.Keys(p[preset])) {
			f, ok := s.Field(name)
			if !ok {
				errs = append(errs, fmt.Errorf("preset %q: %s", preset, s.UnknownDetail(name)))
				continue
			}
			if _, err := f.Check(p[preset][name]); err != nil {
				errs = append(errs, fmt.Errorf("preset %q: %s %w", preset, name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Names lists the presets, mildest first: basic, standard, aggressive, then others by name.
func (p Presets) Names() []string {
	var names []string
	for _, n := range []string{"basic", "standard", "aggressive"} {
		if _, ok := p[n]; ok {
			names = append(names, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(p)) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func validName(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || part[0] >= '0' && part[0] <= '9' {
			return false
		}
		for _, r := range part {
			if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	return true
}
