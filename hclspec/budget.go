package hclspec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds on evaluation. HCL's evaluator has none of its own.
const (
	maxForNesting = 2
	maxElements   = 20_000    // of one value, nested ones included
	maxString     = 1 << 20   // bytes
	maxInstances  = 10_000    // of one pipeline
	maxWork       = 2_000_000 // loop turns and elements handled by one Load or Resolve
	maxLocals     = 500       // locals that build on one another in a row
	maxNumberBits = 1100      // binary exponent; a float64 has 1024
)

const summaryTooMuch = "Evaluation takes too much"

// budget counts the work of one Load or Resolve.
type budget struct {
	used int
	told bool // one meter has said that the budget is spent
}

func (b *budget) reset() { *b = budget{} }

func (b *budget) spend(n int) error {
	if b.used += n; b.used > maxWork {
		return fmt.Errorf("evaluating the pipeline takes more than %d steps. Loop over fewer elements", maxWork)
	}
	return nil
}

// check bounds the size of a value and charges for it.
func (b *budget) check(v cty.Value) error {
	n, err := measure(v, 0)
	if err != nil {
		return err
	}
	return b.spend(n)
}

// measure counts a value's elements, nested ones included, up to the limit.
func measure(v cty.Value, n int) (int, error) {
	if v.IsMarked() {
		v, _ = v.Unmark()
	}
	if n++; n > maxElements {
		return n, fmt.Errorf("a value may have at most %d elements", maxElements)
	}
	if v.IsNull() || !v.IsKnown() {
		return n, nil
	}
	switch ty := v.Type(); {
	case ty == cty.String:
		if len(v.AsString()) > maxString {
			return n, fmt.Errorf("a string may have at most %d bytes", maxString)
		}
	case ty == cty.Number:
		if f := v.AsBigFloat(); f.MantExp(nil) > maxNumberBits || f.MantExp(nil) < -maxNumberBits {
			return n, fmt.Errorf("numbers may have an exponent between -%d and %d", maxExponent, maxExponent)
		}
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			var err error
			if n, err = measure(e, n); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// metered evaluates an expression and charges the budget for its value. It
// embeds a ParenthesesExpr because hclsyntax.Node cannot be implemented
// outside and parentheses walk to what they enclose.
type metered struct {
	*hclsyntax.ParenthesesExpr
	budget *budget
}

func (e *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if err := e.budget.spend(1); err != nil {
		if e.budget.told { // loops go on after errors; let them come to an end without more work
			return cty.DynamicVal, nil
		}
		e.budget.told = true
		return cty.DynamicVal, hcl.Diagnostics{failure(e.Range(), summaryTooMuch, "%s.", sentence(err))}
	}
	v, diags := e.ParenthesesExpr.Value(ctx)
	if err := e.budget.check(v); err != nil {
		return cty.DynamicVal, append(diags, failure(e.Range(), summaryTooMuch, "%s.", sentence(err)))
	}
	return v, diags
}

// Variables reports what the enclosed expression refers to.
func (e *metered) Variables() []hcl.Traversal { return hclsyntax.Variables(e.ParenthesesExpr) }

// meter puts meters into an expression wherever evaluation repeats or grows:
// in loops, templates and arithmetic. It refuses deeply nested loops.
func meter(node hclsyntax.Node, b *budget) hcl.Diagnostics {
	w := &meterWalker{budget: b}
	return hclsyntax.Walk(node, w)
}

type meterWalker struct {
	budget *budget
	loops  int
}

func (w *meterWalker) Enter(node hclsyntax.Node) hcl.Diagnostics {
	switch n := node.(type) {
	case *hclsyntax.ForExpr:
		if w.loops++; w.loops == maxForNesting+1 {
			return hcl.Diagnostics{failure(n.Range(), summaryTooMuch, "for expressions may nest at most %d deep. Use setproduct(…) or flatten(…), or give the inner list a name with locals.", maxForNesting)}
		}
		n.CollExpr, n.ValExpr = w.wrap(n.CollExpr), w.wrap(n.ValExpr)
		if n.KeyExpr != nil {
			n.KeyExpr = w.wrap(n.KeyExpr)
		}
		if n.CondExpr != nil {
			n.CondExpr = w.wrap(n.CondExpr)
		}
	case *hclsyntax.SplatExpr:
		n.Source = w.wrap(n.Source)
	case *hclsyntax.TemplateExpr:
		for i, part := range n.Parts {
			n.Parts[i] = w.wrap(part)
		}
	case *hclsyntax.BinaryOpExpr:
		n.LHS, n.RHS = w.wrap(n.LHS), w.wrap(n.RHS)
	}
	return nil
}

func (w *meterWalker) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if _, ok := node.(*hclsyntax.ForExpr); ok {
		w.loops--
	}
	return nil
}

func (w *meterWalker) wrap(e hclsyntax.Expression) hclsyntax.Expression {
	switch e.(type) {
	case *hclsyntax.LiteralValueExpr, *metered:
		return e
	}
	return &metered{&hclsyntax.ParenthesesExpr{Expression: e, SrcRange: e.Range()}, w.budget}
}
