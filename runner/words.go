package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trainwright/trainwright/pipelines"
)

// notes lists the settings about which a plan has something to say.
func notes(c pipelines.Config) []SettingNote {
	var out []SettingNote
	for _, name := range slices.Sorted(maps.Keys(c)) {
		s := c[name]
		n := SettingNote{Field: name, Value: s.Value, Origin: s.Origin, Range: s.Range}
		switch {
		case s.Inactive != "":
			n.Kind, n.Note = "inactive", s.Inactive
		case s.Replaced != nil:
			n.Kind, n.Note = "replaced", fmt.Sprintf("replaces %v", s.Replaced)
		case s.Derived != "":
			n.Kind, n.Note = "derived", "follows "+s.Derived
		default:
			continue
		}
		out = append(out, n)
	}
	return out
}

func changedFields(changes []Change) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Field)
	}
	if len(names) == 0 {
		return "inputs that an older version did not record"
	}
	return someOf(names, 4)
}

// AddressList names steps for people, the instances of one block together:
// "train.a, train.search (4 instances)".
func AddressList(list []pipelines.Address) string {
	var blocks []string
	instances := map[string][]pipelines.Address{}
	for _, a := range list {
		block, _, _ := strings.Cut(string(a), "[")
		if instances[block] == nil {
			blocks = append(blocks, block)
		}
		instances[block] = append(instances[block], a)
	}
	for i, block := range blocks {
		if of := instances[block]; len(of) == 1 {
			blocks[i] = string(of[0])
		} else {
			blocks[i] = fmt.Sprintf("%s (%d instances)", block, len(of))
		}
	}
	return someOf(blocks, 3)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func executorName(c pipelines.ExecutorConfig) string {
	if c.Address == "" {
		return "the local executor"
	}
	return string(c.Address)
}

func isLocal(c pipelines.ExecutorConfig) bool { return c.Type == "" || c.Type == "local" }

// plainNumber turns json.Number, at any depth of a list, into int64 or float64.
func plainNumber(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = plainNumber(x[i])
		}
		return out
	}
	return v
}

// sentence is an error's text as a sentence of its own.
func sentence(err error) string {
	s := err.Error()
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// fate says in words how a step ended that did not complete.
func fate(s pipelines.Status) string {
	if s == pipelines.StatusFailed {
		return "failed"
	}
	return "was " + string(s)
}
