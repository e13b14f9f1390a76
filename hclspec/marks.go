package hclspec

import (
	"cmp"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// lateMark travels with a value that waits for a step's result, so that every
// field knows the steps it waits for.
type lateMark struct{ address pipelines.Address }

// sensitiveMark travels with what came from secret() or a sensitive variable.
type sensitiveMark struct{}

// marks is what is known of a value besides itself.
type marks struct {
	late      []pipelines.Address // sorted, each once
	sensitive bool
}

// unmark strips a value of all marks, nested ones included.
func unmark(v cty.Value) (cty.Value, marks) {
	v, set := v.UnmarkDeep()
	var m marks
	for mark := range set {
		switch x := mark.(type) {
		case lateMark:
			m.late = append(m.late, x.address)
		case sensitiveMark:
			m.sensitive = true
		}
	}
	slices.SortFunc(m.late, cmp.Compare)
	m.late = slices.Compact(m.late)
	return v, m
}
