package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LearningRate and TMax are the fields with rules of their own: learning_rate
// of a train block is the first under another name, and the second follows
// the number of epochs while nobody writes it.
const (
	LearningRate = "optimizer.learning_rate"
	TMax         = "scheduler.T_max"
)

// Origin says who set a value, low to high. The words are those of
// pipelines.Origin.
type Origin string

const (
	FromDefault Origin = "default"
	FromPreset  Origin = "preset"
	FromTrain   Origin = "train"
	FromConfig  Origin = "config"
	FromMatrix  Origin = "matrix"
)

// Written is one value that the user wrote. Value may be Unknown.
type Written struct {
	Field  string // dotted
	Value  any
	Origin Origin // FromTrain, FromConfig or FromMatrix
}

// Request asks for an effective config.
type Request struct {
	Preset  map[string]any // values of the chosen preset; nil = none
	Written []Written
	Epochs  int // 0 = not known, nothing is derived from it
}

// Effective is one resolved setting.
type Effective struct {
	Value    any
	Origin   Origin
	Inactive string // why it has no effect; "" = active
	Derived  string // what an unwritten value follows: "epochs"
	Replaced any    // the written value that a matrix cell replaced
	Written  int    // index in Request.Written of the value in force; -1 = not written
}

// Problem is one thing wrong with a request.
type Problem struct {
	Written int    // index in Request.Written
	Summary string // fixed words
	Detail  string // what, why and how to fix
}

// Summaries of problems.
const (
	SummaryUnknownField   = "Unsupported config field"
	SummaryInvalidValue   = "Invalid config value"
	SummaryContradiction  = "Contradicting values"
	SummaryInactiveField  = "Config field has no effect"
	SummaryDuplicateField = "Config field set twice"
)

// Resolve works out every field's value and who set it: schema default <
// preset < train attribute < config < matrix cell. All problems are
// reported, and the result is usable without the values that caused them. A
// written value whose condition is false comes back with Inactive set and no
// problem: whether that is an error depends on the other cells of a matrix.
func (s Schema) Resolve(req Request) (map[string]Effective, []Problem) {
	out := make(map[string]Effective, len(s.Fields))
	for _, f := range s.Fields {
		out[f.Name] = Effective{Value: f.Default, Origin: FromDefault, Written: -1}
	}
	for name, v := range req.Preset {
		if f, ok := s.Field(name); ok {
			if v, err := f.Check(v); err == nil {
				out[name] = Effective{Value: v, Origin: FromPreset, Written: -1}
			}
		}
	}
	problems := s.applyWritten(out, req.Written)
	deriveTMax(out, req.Epochs)
	for name, reason := range s.Inactive(values(out)) {
		e := out[name]
		e.Inactive = reason
		out[name] = e
	}
	return out, problems
}

func (s Schema) applyWritten(out map[string]Effective, written []Written) []Problem {
	var problems []Problem
	order := slices.Collect(func(yield func(int) bool) {
		for _, origin := range []Origin{FromTrain, FromConfig, FromMatrix} {
			for i, w := range written {
				if w.Origin == origin && !yield(i) {
					return
				}
			}
		}
	})
	for _, i := range order {
		w := written[i]
		f, ok := s.Field(w.Field)
		if !ok {
			problems = append(problems, Problem{i, SummaryUnknownField, s.UnknownDetail(w.Field)})
			continue
		}
		if w.Value == nil {
			continue // null means not written
		}
		v, err := f.Check(w.Value)
		if err != nil {
			detail := fmt.Sprintf("%s %s", w.Field, err)
			if !strings.HasSuffix(detail, "?") {
				detail += "."
			}
			problems = append(problems, Problem{i, SummaryInvalidValue, detail})
			continue
		}
		next := Effective{Value: v, Origin: w.Origin, Written: i}
		if old := out[w.Field]; old.Written >= 0 {
			before := written[old.Written]
			switch {
			case w.Origin == FromMatrix && before.Origin != FromMatrix:
				next.Replaced = old.Value
			case w.Origin == before.Origin:
				problems = append(problems, Problem{i, SummaryDuplicateField, fmt.Sprintf("%s is set twice. Keep one of the two.", w.Field)})
				continue
			case !Equal(v, old.Value) && v != (Unknown{}) && old.Value != (Unknown{}):
				problems = append(problems, Problem{i, SummaryContradiction, contradiction(w.Field, old.Value, v)})
				continue
			}
			if old.Replaced != nil {
				next.Replaced = old.Replaced
			}
		}
		out[w.Field] = next
	}
	return problems
}

func contradiction(field string, train, config any) string {
	name := field
	if field == LearningRate {
		name = "learning_rate"
	}
	return fmt.Sprintf("%s of the train block is %s and config sets %s to %s. They are one value: write it once, or the same in both places.",
		name, Format(train), field, Format(config))
}

// deriveTMax lets an unwritten T_max follow epochs: unset means epochs, and a
// value from a preset or default counts only up to epochs.
func deriveTMax(out map[string]Effective, epochs int) {
	e, ok := out[TMax]
	if !ok || epochs <= 0 || e.Written >= 0 {
		return
	}
	if v, ok := toInt(e.Value); ok && v < int64(epochs) {
		return
	}
	e.Value, e.Derived = int64(epochs), "epochs"
	out[TMax] = e
}

func values(effective map[string]Effective) map[string]any {
	out := make(map[string]any, len(effective))
	for name, e := range effective {
		out[name] = e.Value
	}
	return out
}

// Inactive returns, for a full set of values by dotted name, the fields that
// have no effect and why: `optimizer.type is "adam"`.
func (s Schema) Inactive(values map[string]any) map[string]string {
	out := map[string]string{}
	done := map[string]bool{}
	var visit func(f Field) string
	visit = func(f Field) string {
		if done[f.Name] || f.Condition == nil {
			return out[f.Name]
		}
		done[f.Name] = true // before recursing, so that a circle of conditions ends
		control, ok := s.Field(f.Condition.Field)
		if !ok {
			return ""
		}
		if reason := visit(control); reason != "" {
			out[f.Name] = reason
		} else if v := values[control.Name]; !f.Condition.Holds(v) {
			if v == nil {
				out[f.Name] = control.Name + " is not set"
			} else {
				out[f.Name] = fmt.Sprintf("%s is %s", control.Name, Format(v))
			}
		}
		return out[f.Name]
	}
	for _, f := range s.Fields {
		visit(f)
	}
	return out
}

// NoEffect says why a value of f has none on a device class ("the device is
// cpu, not cuda"); "" = it has. The default has its effect, which is that the
// setting is off, everywhere.
func (f Field) NoEffect(value any, device string) string {
	if len(f.Devices) == 0 || device == "" || slices.Contains(f.Devices, device) || Equal(value, f.Default) {
		return ""
	}
	return fmt.Sprintf("the device is %s, not %s", device, strings.Join(f.Devices, " or "))
}

// Holds reports whether the controlling field's value v satisfies the
// condition. An Unknown value does.
func (c Condition) Holds(v any) bool {
	if v == (Unknown{}) {
		return true
	}
	if list, ok := toList(c.Value); ok {
		return slices.ContainsFunc(list, func(want any) bool { return Equal(want, v) })
	}
	return Equal(c.Value, v)
}

// CheckValues types and validates a flat set of values, as a step finds them
// in its task: unknown names and invalid values are errors.
func (s Schema) CheckValues(in map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		f, ok := s.Field(name)
		if !ok {
			return nil, fmt.Errorf("%s", s.UnknownDetail(name))
		}
		v, err := f.Check(in[name])
		if err != nil {
			return nil, fmt.Errorf("%s %w", name, err)
		}
		out[name] = v
	}
	return out, nil
}

// Defaults returns every field's default by name, unset ones as nil.
func (s Schema) Defaults() map[string]any {
	out := make(map[string]any, len(s.Fields))
	for _, f := range s.Fields {
		out[f.Name] = f.Default
	}
	return out
}
