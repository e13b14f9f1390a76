package hclspec

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/pipelines"
)

var outputBlock = &blockSpec{Type: "output", Labels: []string{"name"}, Required: []string{"value"}, Optional: []string{"description", "sensitive"}, Flags: []string{"sensitive"}}

// output makes an output of a block.
func (m *module) output(b *block) (pipelines.Output, bool) {
	a := b.attrs["value"]
	if a == nil {
		return pipelines.Output{}, false
	}
	s := m.static.scope(nil)
	o := pipelines.Output{Name: b.name(), Needs: needs(m.stepsOf(b.refs)), Range: toRange(a.Expr.Range())}
	o.Description, _ = s.text(b, "description", "description", early)
	o.Sensitive = m.flag(b, "sensitive", false)
	m.add(s.diags...)
	_, _, diags := m.evaluateOutput(b, o.Sensitive, nil)
	m.add(diags...)
	o.Evaluate = func(results pipelines.Results) (value any, waits []pipelines.Address, err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		defer rescueError(&err)
		m.budget.reset()
		v, unknown, diags := m.evaluateOutput(b, o.Sensitive, results)
		if diags.HasErrors() {
			return nil, nil, diags
		}
		return v, unknown, nil
	}
	return o, true
}

func (m *module) evaluateOutput(b *block, sensitive bool, results pipelines.Results) (any, []pipelines.Address, hcl.Diagnostics) {
	e := m.evaluator(results)
	expr := b.attrs["value"].Expr
	v, diags := e.eval(expr, nil)
	diags = append(e.diags, diags...)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	bare, marks := unmark(v)
	if marks.sensitive && !sensitive {
		return nil, nil, append(diags, failure(expr.Range(), "Sensitive value not allowed", "The output shows a sensitive value. Add sensitive = true, so that it prints as (sensitive)."))
	}
	if !bare.IsWhollyKnown() {
		return nil, marks.late, diags
	}
	return toGo(bare, false), nil, diags
}
