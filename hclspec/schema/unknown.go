package schema

import (
	"fmt"
	"slices"
	"strings"
)

// UnknownDetail says why name is no field and what was likely meant: the same
// setting in another group, or a name that is spelled almost alike.
func (s Schema) UnknownDetail(name string) string {
	what := fmt.Sprintf("There is no config field %q.", name)
	if members := s.group(name); len(members) > 0 {
		return fmt.Sprintf("%q is a group of settings (%s), not a value: write it as a block.", name, strings.Join(members, ", "))
	}
	if places := s.homes(name); len(places) > 0 {
		if near := Nearest(prefix(name), places); near != "" {
			return fmt.Sprintf("%s Did you mean %q?", what, join(near, lastPart(name)))
		}
		return fmt.Sprintf("%s %s", what, belongs(lastPart(name), places))
	}
	if near := Nearest(name, s.Names()); near != "" {
		return fmt.Sprintf("%s Did you mean %q?", what, near)
	}
	var lasts []string
	for _, n := range s.Names() {
		lasts = append(lasts, lastPart(n))
	}
	if near := Nearest(lastPart(name), lasts); near != "" {
		if places := s.homes(near); len(places) == 1 {
			return fmt.Sprintf("%s Did you mean %q?", what, join(places[0], near))
		}
	}
	return what + " The adapter's fields are listed by: runner schema."
}

// homes lists the groups that have a field of that last part.
func (s Schema) homes(name string) []string {
	var places []string
	for _, n := range s.Names() {
		if lastPart(n) == lastPart(name) && n != name && !slices.Contains(places, prefix(n)) {
			places = append(places, prefix(n))
		}
	}
	return places
}

func (s Schema) group(name string) []string {
	var members []string
	for _, n := range s.Names() {
		if strings.HasPrefix(n, name+".") {
			members = append(members, strings.TrimPrefix(n, name+"."))
		}
	}
	return members
}

func belongs(last string, places []string) string {
	if len(places) == 1 && places[0] == "" {
		return fmt.Sprintf("%q belongs directly under block config.", last)
	}
	if len(places) == 1 {
		return fmt.Sprintf("%q belongs under block %s of config.", last, places[0])
	}
	return fmt.Sprintf("%q belongs under one of the blocks %s of config.", last, strings.Join(places, ", "))
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func prefix(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return ""
}

func join(prefix, last string) string {
	if prefix == "" {
		return last
	}
	return prefix + "." + last
}
