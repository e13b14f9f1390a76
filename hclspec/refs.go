package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// reference is one use of a name in an expression.
type reference struct {
	traversal hcl.Traversal
	node      string  // address of what it names; "" when it names nothing
	instance  *string // literal instance key, if one follows
}

// stepRef is a step that something refers to; instance nil = all of them.
type stepRef struct {
	node     *node
	instance *string
}

// roots are the words that references may start with.
var roots = []string{"var", "local", "dataset", "model", "train", "evaluate", "export", "step", "executor", "each"}

// depth is how many parts after the root name a node: executor.dagger.gpu has two.
func depth(root string) int {
	if root == "executor" {
		return 2
	}
	return 1
}

// collectRefs lists the references of all expressions in a block.
func (m *module) collectRefs(b *block) {
	if b.spec == movedBlock {
		return // names addresses, some of which are gone
	}
	for name, a := range b.attrs {
		if b.spec == variableBlock && name != "description" {
			continue // types and defaults refer to nothing
		}
		b.refs = append(b.refs, refsOf(a.Expr)...)
	}
	if b.spec.Open { // locals and config blocks keep their own nesting
		for _, inner := range b.body.Blocks {
			b.refs = append(b.refs, bodyRefs(inner.Body)...)
		}
	}
	for _, list := range b.blocks {
		for _, inner := range list {
			m.collectRefs(inner)
			b.refs = append(b.refs, inner.refs...)
		}
	}
	slices.SortStableFunc(b.refs, func(a, c reference) int {
		return a.traversal.SourceRange().Start.Byte - c.traversal.SourceRange().Start.Byte
	})
}

func bodyRefs(body *hclsyntax.Body) []reference {
	var out []reference
	for _, a := range body.Attributes {
		out = append(out, refsOf(a.Expr)...)
	}
	for _, inner := range body.Blocks {
		out = append(out, bodyRefs(inner.Body)...)
	}
	return out
}

func refsOf(expr hclsyntax.Expression) []reference {
	var out []reference
	for _, t := range expr.Variables() {
		out = append(out, newReference(t))
	}
	return out
}

func newReference(t hcl.Traversal) reference {
	r := reference{traversal: t}
	root := t.RootName()
	n := depth(root)
	if root == "each" || !slices.Contains(roots, root) || len(t) <= n {
		return r
	}
	parts := []string{root}
	for _, step := range t[1 : n+1] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			return r
		}
		parts = append(parts, a.Name)
	}
	r.node = strings.Join(parts, ".")
	if len(t) > n+1 {
		if i, ok := t[n+1].(hcl.TraverseIndex); ok && i.Key.Type() == cty.String {
			key := i.Key.AsString()
			r.instance = &key
		}
	}
	return r
}

// checkNames reports references that name nothing. each says that each.key
// and each.value stand for something here.
func (m *module) checkNames(refs []reference, each bool) {
	for _, r := range refs {
		if d := m.checkName(r, each); d != nil {
			m.broken[r.traversal.SourceRange()] = true
			m.add(d)
		}
	}
}

func (m *module) checkName(r reference, each bool) *hcl.Diagnostic {
	t, root := r.traversal, r.traversal.RootName()
	at := t.SourceRange()
	const summary = "Reference to undeclared name"
	switch {
	case root == "each":
		return checkEach(t, each)
	case !slices.Contains(roots, root):
		detail := fmt.Sprintf("%q stands for nothing here.%s", root, didYouMean(root, roots))
		if detail[len(detail)-1] == '.' {
			detail += " References start with a block type (train.NAME), var or local; text needs quotes."
		}
		return failure(at, summary, "%s", detail)
	case r.node == "":
		return failure(at, summary, "A reference names one block: write %s.", example(root))
	case m.known(r.node):
		return nil
	}
	name := r.node[strings.Index(r.node, ".")+1:]
	var others []string
	for address := range m.nodes {
		if rest, ok := strings.CutPrefix(address, root+"."); ok {
			others = append(others, rest)
		}
	}
	if root == "var" {
		others = slices.Collect(maps.Keys(m.inputs))
	}
	slices.Sort(others)
	near := didYouMean(name, others)
	if near == "" && len(others) > 0 && len(others) <= 10 {
		near = fmt.Sprintf(" There is %s.", strings.Join(others, ", "))
	}
	return failure(at, summary, "No %s %q is declared.%s", noun(root), name, near)
}

func checkEach(t hcl.Traversal, each bool) *hcl.Diagnostic {
	if !each {
		return failure(t.SourceRange(), "Reference to undeclared name", "each.key and each.value stand for something only in a step with for_each.")
	}
	if len(t) > 1 {
		if a, ok := t[1].(hcl.TraverseAttr); ok && (a.Name == "key" || a.Name == "value") {
			return nil
		}
	}
	return failure(t.SourceRange(), "Reference to undeclared name", "Write each.key or each.value.")
}

func (m *module) known(address string) bool {
	if name, ok := strings.CutPrefix(address, "var."); ok {
		return m.inputs[name] != nil
	}
	return m.nodes[address] != nil
}

func example(root string) string {
	if root == "executor" {
		return "executor.TYPE.NAME"
	}
	return root + ".NAME"
}

func noun(root string) string {
	switch root {
	case "var":
		return "variable"
	case "local":
		return "local value"
	}
	return root
}

// checkInstances reports unindexed uses of a step that has instances, keys
// that none of them has, and unknown attributes of results. Instances must
// be expanded.
func (m *module) checkInstances(refs []reference) {
	for _, r := range refs {
		n := m.nodes[r.node]
		if n == nil || n.stepKind() == "" || m.broken[r.traversal.SourceRange()] {
			continue
		}
		if d := checkInstance(n, r); d != nil {
			m.broken[r.traversal.SourceRange()] = d.Severity == hcl.DiagError
			m.add(d)
		}
	}
}

func checkInstance(n *node, r reference) *hcl.Diagnostic {
	t, rest := r.traversal, r.traversal[2:]
	e := n.expanded
	if e.multiple && !e.unknown {
		keys := e.keys()
		if len(rest) == 0 {
			return nil // all of them, for best_of and for
		}
		if r.instance == nil {
			return failure(t.SourceRange(), "Step has several instances", "%s has matrix or for_each, so it is a map. Pick one with %s[\"KEY\"] or best_of(%s, \"METRIC\"); the keys are %s.",
				n.address, n.address, n.address, listSome(keys))
		}
		if !slices.Contains(keys, *r.instance) {
			return failure(t.SourceRange(), "No such instance", "%s has no instance %q.%s The keys are %s.", n.address, *r.instance, didYouMean(*r.instance, keys), listSome(keys))
		}
		rest = rest[1:]
	} else if !e.multiple && r.instance != nil {
		return failure(t.SourceRange(), "No such instance", "%s has neither matrix nor for_each, so it has no instances: write %s without [%q].", n.address, n.address, *r.instance)
	}
	if e.unknown || len(rest) == 0 {
		return nil
	}
	a, ok := rest[0].(hcl.TraverseAttr)
	if ok && len(rest) > 1 && (a.Name == "metrics" || a.Name == "last_metrics") {
		if metric := stepName(rest[1]); metric != "" {
			if hint := metricHint(metric, allMetrics()); hint != "" {
				return warning(t.SourceRange(), summaryMetric, "%s", hint)
			}
		}
	}
	if ok && len(rest) > 1 && a.Name == "outputs" {
		if d := checkOutputName(n, stepName(rest[1]), t); d != nil {
			return d
		}
	}
	if names := resultAttributes(n.stepKind()); ok && !slices.Contains(names, a.Name) {
		return failure(t.SourceRange(), "Unknown result", "%s has no result %q; there are %s.%s", n.address, a.Name, strings.Join(names, ", "), didYouMean(a.Name, names))
	}
	return nil
}

// checkOutputName checks step.NAME.outputs.X against the outputs that the
// step block writes out.
func checkOutputName(n *node, name string, t hcl.Traversal) *hcl.Diagnostic {
	a := n.block.attrs["outputs"]
	if a == nil || name == "" {
		return nil
	}
	pairs, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		return nil
	}
	var names []string
	for _, p := range pairs {
		k, diags := p.Key.Value(nil)
		if diags.HasErrors() || k.Type() != cty.String {
			return nil
		}
		names = append(names, stringOf(k))
	}
	if slices.Contains(names, name) {
		return nil
	}
	return failure(t.SourceRange(), "Unknown result", "%s has no output %q; it has %s.%s", n.address, name, join(names, "and"), didYouMean(name, names))
}

func listSome(keys []string) string {
	const most = 8
	if len(keys) == 0 {
		return "none"
	}
	if len(keys) > most {
		return fmt.Sprintf("%s and %d more", schemaList(keys[:most]), len(keys)-most)
	}
	return schemaList(keys)
}

func schemaList(keys []string) string {
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = fmt.Sprintf("%q", k)
	}
	return strings.Join(quoted, ", ")
}

// stepAddress is the address of a step's instance.
func stepAddress(n *node, key string, multiple bool) pipelines.Address {
	if !multiple {
		return pipelines.Address(n.address)
	}
	return pipelines.Address(fmt.Sprintf("%s[%q]", n.address, key))
}
