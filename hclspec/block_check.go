package hclspec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var checkBlock = &blockSpec{Type: "check", Labels: []string{"name"}, Required: []string{"condition", "error_message"}}

// check makes a check of a block and evaluates it once without results, so
// that what is wrong in any case is told now.
func (m *module) check(b *block) (pipelines.Check, bool) {
	if b.attrs["condition"] == nil || b.attrs["error_message"] == nil {
		return pipelines.Check{}, false
	}
	c := pipelines.Check{
		Address: pipelines.Address(b.address()), Needs: needs(m.stepsOf(b.refs)), Range: toRange(b.at("condition")),
	}
	_, diags := m.evaluateCheck(b, nil)
	m.add(diags...)
	c.Evaluate = func(results pipelines.Results) (out pipelines.CheckResult, err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		defer rescueError(&err)
		m.budget.reset()
		out, diags := m.evaluateCheck(b, results)
		if diags.HasErrors() {
			return out, diags
		}
		return out, nil
	}
	return c, true
}

func (m *module) evaluateCheck(b *block, results pipelines.Results) (pipelines.CheckResult, hcl.Diagnostics) {
	e := m.evaluator(results)
	expr := b.attrs["condition"].Expr
	out := pipelines.CheckResult{Values: e.operands(expr, m.files)}
	v, diags := e.eval(expr, nil)
	diags = append(e.diags, diags...)
	if diags.HasErrors() {
		if name := e.nanOperand(expr); name != "" { // NaN is never good enough
			out.Message = fmt.Sprintf("%s is not a number", name)
			return out, nil
		}
		return out, diags
	}
	bare, marks := unmark(v)
	switch {
	case !bare.IsKnown() && bare.Type() != cty.Bool && bare.Type() != cty.DynamicPseudoType:
		return out, append(diags, failure(expr.Range(), "Invalid value", "\"condition\" must be true or false, not %s.", article(bare.Type().FriendlyName())))
	case !bare.IsKnown():
		out.Unknown = marks.late
		return out, diags
	case bare.IsNull() || bare.Type() != cty.Bool:
		return out, append(diags, failure(expr.Range(), "Invalid value", "\"condition\" must be true or false, not %s.", show(bare)))
	}
	if out.OK = bare.True(); out.OK && len(results) > 0 {
		return out, diags
	}
	s := e.scope(nil)
	s.allowSensitive = true
	out.Message, _ = s.text(b, "error_message", "error_message", late)
	if s.sensitive {
		out.Message = "(sensitive)"
	}
	return out, append(diags, s.diags...)
}

// operands are the results that an expression refers to, with their values.
func (e *evaluator) operands(expr hclsyntax.Expression, files Files) []pipelines.Operand {
	var out []pipelines.Operand
	seen := map[string]bool{}
	for _, t := range expr.Variables() {
		v, ok := e.traverse(t)
		if !ok {
			continue
		}
		bare, m := unmark(v)
		name := sourceText(files, t.SourceRange())
		if name == "" || seen[name] || !bare.IsKnown() {
			continue
		}
		seen[name] = true
		value := show(bare)
		if m.sensitive {
			value = "(sensitive)"
		}
		out = append(out, pipelines.Operand{Expr: name, Value: value})
	}
	return out
}

// traverse follows a reference as far as its value goes.
func (e *evaluator) traverse(t hcl.Traversal) (cty.Value, bool) {
	r := newReference(t)
	if r.node == "" || e.m.broken[t.SourceRange()] {
		return cty.NilVal, false
	}
	v, diags := t[depth(t.RootName())+1:].TraverseRel(e.value(r.node))
	return v, !diags.HasErrors()
}

// nanOperand names a metric in the expression that is NaN.
func (e *evaluator) nanOperand(expr hclsyntax.Expression) string {
	for _, t := range expr.Variables() {
		if v, ok := e.traverse(t); ok {
			if bare, _ := unmark(v); bare.IsKnown() && bare.IsNull() && bare.Type() == cty.Number {
				return sourceText(e.m.files, t.SourceRange())
			}
		}
	}
	return ""
}

func sourceText(files Files, r hcl.Range) string {
	f := files[r.Filename]
	if f == nil || r.End.Byte > len(f.Bytes) || r.Start.Byte > r.End.Byte {
		return ""
	}
	return string(f.Bytes[r.Start.Byte:r.End.Byte])
}
