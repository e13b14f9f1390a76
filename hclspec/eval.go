package hclspec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// evaluator evaluates expressions against a set of results. Values of locals
// and blocks are worked out once per evaluator; what depends on no step is
// shared through module.static.
type evaluator struct {
	m        *module
	results  pipelines.Results
	cache    map[string]cty.Value
	models   map[string]*modelDecl
	datasets map[string]*datasetDecl
	diags    hcl.Diagnostics // of locals and blocks evaluated on the way
}

func (m *module) evaluator(results pipelines.Results) *evaluator {
	return &evaluator{m: m, results: results, cache: map[string]cty.Value{}, models: map[string]*modelDecl{}, datasets: map[string]*datasetDecl{}}
}

// home is the evaluator whose cache holds a node's value.
func (e *evaluator) home(n *node) *evaluator {
	if n != nil && !n.late && n.stepKind() == "" {
		return e.m.static
	}
	return e
}

// eval evaluates an expression. Where a reference in it is already reported
// as wrong the value is unknown, without more diagnostics.
func (e *evaluator) eval(expr hclsyntax.Expression, each *instance) (cty.Value, hcl.Diagnostics) {
	if lit, ok := expr.(*hclsyntax.LiteralValueExpr); ok {
		return lit.Val, nil
	}
	watching(expr.Range())
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: e.m.functions}
	groups := map[string]map[string]cty.Value{}
	executors := map[string]map[string]cty.Value{}
	for _, t := range expr.Variables() {
		if e.m.broken[t.SourceRange()] {
			return cty.DynamicVal, nil
		}
		r := newReference(t)
		switch root := t.RootName(); {
		case root == "each" && each != nil:
			ctx.Variables["each"] = cty.ObjectVal(map[string]cty.Value{"key": each.eachKey, "value": each.eachValue})
		case r.node == "":
			return cty.DynamicVal, nil
		case root == "executor":
			parts := strings.SplitN(r.node, ".", 3)
			put(executors, parts[1], parts[2], e.value(r.node))
		default:
			put(groups, root, r.node[len(root)+1:], e.value(r.node))
		}
	}
	if len(executors) > 0 {
		groups["executor"] = map[string]cty.Value{}
		for kind, names := range executors {
			groups["executor"][kind] = cty.ObjectVal(names)
		}
	}
	for root, names := range groups {
		ctx.Variables[root] = cty.ObjectVal(names)
	}
	v, diags := expr.Value(ctx)
	if len(diags) > 0 {
		sensitive := callsSecret(expr)
		for _, v := range ctx.Variables {
			_, marks := unmark(v)
			sensitive = sensitive || marks.sensitive
		}
		diags = explainCalls(diags, e.m.names, sensitive)
	}
	if diags.HasErrors() {
		return cty.DynamicVal, diags
	}
	if err := e.m.budget.check(v); err != nil {
		return cty.DynamicVal, append(diags, failure(expr.Range(), summaryTooMuch, "%s.", sentence(err)))
	}
	return v, diags
}

func put(m map[string]map[string]cty.Value, group, name string, v cty.Value) {
	if m[group] == nil {
		m[group] = map[string]cty.Value{}
	}
	m[group][name] = v
}

func callsSecret(expr hclsyntax.Expression) bool {
	found := false
	hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if f, ok := n.(*hclsyntax.FunctionCallExpr); ok && f.Name == "secret" {
			found = true
		}
		return nil
	})
	return found
}

// value is what a reference stands for.
func (e *evaluator) value(address string) cty.Value {
	if name, ok := strings.CutPrefix(address, "var."); ok {
		return e.m.inputs[name].value
	}
	n := e.m.nodes[address]
	if n == nil || n.circular {
		return cty.DynamicVal
	}
	at := e.home(n)
	if v, ok := at.cache[address]; ok {
		return v
	}
	v := at.work(n)
	at.cache[address] = v
	return v
}

func (e *evaluator) work(n *node) cty.Value {
	if n.expr != nil {
		v, diags := e.eval(n.expr, nil)
		e.diags = append(e.diags, diags...)
		return v
	}
	switch n.block.spec.Type {
	case "dataset":
		return e.dataset(n.block.name()).value()
	case "model":
		return e.model(n.block.name()).value()
	case "executor":
		return cty.ObjectVal(map[string]cty.Value{"address": cty.StringVal(n.address), "type": cty.StringVal(n.block.labels[0]), "name": cty.StringVal(n.block.name())})
	}
	kind := n.stepKind()
	if kind == "" || n.expanded.unknown {
		return cty.DynamicVal
	}
	if !n.expanded.multiple {
		return e.result(kind, pipelines.Address(n.address))
	}
	all := map[string]cty.Value{}
	for _, i := range n.expanded.instances {
		all[i.key] = e.result(kind, stepAddress(n, i.key, true))
	}
	return cty.ObjectVal(all)
}

func (e *evaluator) result(kind pipelines.Kind, at pipelines.Address) cty.Value {
	if r, ok := e.results[at]; ok {
		return resultValue(kind, r)
	}
	return lateValue(kind, at)
}
