package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// expansion is what matrix or for_each make of a step: one instance without a
// key when it has neither.
type expansion struct {
	multiple  bool
	unknown   bool // the keys are not known (validating without an environment variable)
	instances []instance
}

// instance is one of a step's instances.
type instance struct {
	key                string
	eachKey, eachValue cty.Value // of for_each
	cells              []cell    // of a matrix, in source order
}

// cell is one axis of a matrix at one of its values.
type cell struct {
	path  string // learning_rate, config.optimizer.type
	value cty.Value
	at    hcl.Range // of the value
}

func (e expansion) keys() []string {
	keys := make([]string, len(e.instances))
	for i, x := range e.instances {
		keys[i] = x.key
	}
	return keys
}

// expand works out a step's instances.
func (m *module) expand(n *node) expansion {
	b := n.block
	forEach, matrix := b.attrs["for_each"], b.attrs["matrix"]
	var e expansion
	switch {
	case forEach != nil && matrix != nil:
		m.add(failure(forEach.NameRange, "Contradicting arguments", "A step has matrix or for_each, not both."))
		return expansion{multiple: true, unknown: true}
	case forEach != nil:
		e = m.forEach(b, forEach)
	case matrix != nil:
		e = m.matrix(matrix)
	default:
		e = expansion{instances: []instance{{}}}
	}
	if m.instances += len(e.instances); m.instances > maxInstances {
		m.add(failure(b.head, summaryTooMuch, "A pipeline may have at most %d step instances; with this step it has more.", maxInstances))
		return expansion{multiple: e.multiple, unknown: true}
	}
	if e.multiple && e.unknown {
		// The body is checked once, with values that are not known.
		e.instances = []instance{{eachKey: cty.UnknownVal(cty.String), eachValue: cty.DynamicVal}}
	}
	return e
}

func (m *module) forEach(b *block, a *hclsyntax.Attribute) expansion {
	out := expansion{multiple: true}
	v, diags := m.evaluator(nil).eval(a.Expr, nil)
	m.add(diags...)
	at := a.Expr.Range()
	bare, outer := v.Unmark()
	_, all := unmark(cty.NullVal(cty.String).WithMarks(outer))
	if all.sensitive {
		m.add(failure(at, "Sensitive value not allowed", "The keys of for_each are shown and stored, so it takes no sensitive value."))
		return expansion{multiple: true, unknown: true}
	}
	if !bare.IsKnown() {
		if len(all.late) > 0 {
			m.add(failure(at, "Value is known too late", "\"for_each\" must be known when the plan is made, and this depends on the result of %s.", addresses(all.late)))
		}
		return expansion{multiple: true, unknown: true}
	}
	ty := bare.Type()
	switch {
	case bare.IsNull():
		m.add(failure(at, "Invalid value", "\"for_each\" must be a map or a list of different strings, not null."))
		return expansion{multiple: true, unknown: true}
	case ty.IsObjectType() || ty.IsMapType():
		values := bare.AsValueMap()
		for _, key := range slices.Sorted(maps.Keys(values)) {
			out.instances = append(out.instances, instance{key: key, eachKey: cty.StringVal(key), eachValue: values[key]})
		}
	default:
		whole, marks := unmark(v)
		if !whole.IsWhollyKnown() {
			if len(marks.late) > 0 {
				m.add(failure(at, "Value is known too late", "\"for_each\" must be known when the plan is made, and this depends on the result of %s.", addresses(marks.late)))
			}
			return expansion{multiple: true, unknown: true}
		}
		list, ok := stringList(whole)
		if !ok {
			m.add(failure(at, "Invalid value", "\"for_each\" must be a map or a list of different strings, not %s.", show(whole)))
			return expansion{multiple: true, unknown: true}
		}
		for i, key := range list {
			if slices.Contains(list[:i], key) {
				m.add(failure(at, "Duplicate instance", "\"for_each\" lists %q twice. Every key makes one instance, so keys must differ.", key))
				continue
			}
			out.instances = append(out.instances, instance{key: key, eachKey: cty.StringVal(key), eachValue: cty.StringVal(key)})
		}
	}
	return out
}

// axis is one line of a matrix.
type axis struct {
	path   string
	at     hcl.Range
	values []cell
}

// matrix reads { "path" = [values], … } expression by expression.
func (m *module) matrix(a *hclsyntax.Attribute) expansion {
	unknown := expansion{multiple: true, unknown: true}
	pairs, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() || len(pairs) == 0 {
		m.add(failure(a.Expr.Range(), "Invalid matrix", "A matrix is written out as an object of lists: { \"learning_rate\" = [1e-3, 3e-4] }."))
		return unknown
	}
	var axes []axis
	ok := true
	for _, p := range pairs {
		x, good := m.axis(p, axes)
		ok = ok && good
		axes = append(axes, x)
	}
	total := 1
	for _, x := range axes {
		if total *= max(len(x.values), 1); total > maxInstances {
			m.add(failure(a.Expr.Range(), summaryTooMuch, "A matrix may have at most %d cells.", maxInstances))
			return unknown
		}
	}
	if !ok {
		return unknown
	}
	out := expansion{multiple: true, instances: []instance{{}}}
	for _, x := range axes {
		var next []instance
		for _, i := range out.instances {
			for _, c := range x.values {
				next = append(next, instance{cells: append(i.cells[:len(i.cells):len(i.cells)], c)})
			}
		}
		out.instances = next
	}
	for i := range out.instances {
		var parts []string
		for _, c := range out.instances[i].cells {
			parts = append(parts, c.path+"="+cellText(c.value))
		}
		out.instances[i].key = strings.Join(parts, ",")
	}
	return out
}

func (m *module) axis(p hcl.KeyValuePair, before []axis) (axis, bool) {
	x := axis{at: p.Key.Range()}
	key, diags := p.Key.Value(nil)
	if x.path = stringOf(key); diags.HasErrors() || x.path == "" {
		m.add(failure(x.at, "Invalid matrix", "The key of an axis is a quoted path: \"learning_rate\" or \"config.optimizer.type\"."))
		return x, false
	}
	if i := slices.IndexFunc(before, func(o axis) bool { return canonical(o.path) == canonical(x.path) }); i >= 0 {
		m.add(failure(x.at, "Duplicate axis", "The matrix already has the axis %q on line %d. Merge their values into one list.", x.path, before[i].at.Start.Line))
		return x, false
	}
	if field, isConfig := strings.CutPrefix(x.path, "config."); !slices.Contains(axisPaths, x.path) && (!isConfig || field == "") {
		m.add(failure(x.at, "Unknown axis", "A matrix cannot vary %q; it varies %s, and config fields as \"config.FIELD\".%s", x.path, join(axisPaths, "and"), m.axisHint(x.path)))
		return x, false
	}
	v, diags := m.evaluator(nil).eval(p.Value.(hclsyntax.Expression), nil)
	m.add(diags...)
	if diags.HasErrors() {
		return x, false
	}
	return x, m.axisValues(&x, v, p.Value)
}

// canonical names the one value that two paths may lead to.
func canonical(path string) string {
	if path == "config."+schema.LearningRate {
		return "learning_rate"
	}
	return path
}

// axisHint helps with a path that misses config. or is misspelt.
func (m *module) axisHint(path string) string {
	if near := didYouMean(path, axisPaths); near != "" {
		return near
	}
	if home := m.configHome(path[strings.LastIndexByte(path, '.')+1:]); home != "" {
		return fmt.Sprintf(" Did you mean %q?", home+"."+path[strings.LastIndexByte(path, '.')+1:])
	}
	return ""
}

// axisPaths are the train arguments that a matrix may vary.
var axisPaths = []string{"model", "dataset", "epochs", "batch_size", "learning_rate", "seed", "preset"}

func (m *module) axisValues(x *axis, v cty.Value, expr hcl.Expression) bool {
	bare, marks := unmark(v)
	at := expr.Range()
	model := x.path == "model" || x.path == "dataset" // their values may hold late paths
	switch ty := bare.Type(); {
	case marks.sensitive:
		m.add(failure(at, "Sensitive value not allowed", "Matrix values are shown and stored, so an axis takes no sensitive value."))
		return false
	case !bare.IsKnown() || !model && !bare.IsWhollyKnown():
		if len(marks.late) > 0 {
			m.add(failure(at, "Value is known too late", "A matrix must be known when the plan is made, and this depends on the result of %s.", addresses(marks.late)))
		}
		return false
	case bare.IsNull() || !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType():
		m.add(failure(at, "Invalid matrix", "The axis %q needs a list of values, not %s.", x.path, show(bare)))
		return false
	case bare.LengthInt() == 0:
		m.add(failure(at, "Invalid matrix", "The axis %q has no values, so the matrix would have no cells.", x.path))
		return false
	}
	written, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		written = nil
	}
	seen := map[string]bool{}
	ok := true
	for i, it := 0, bare.ElementIterator(); it.Next(); i++ {
		_, value := it.Element()
		c := cell{path: x.path, value: value, at: at}
		if i < len(written) {
			c.at = written[i].Range()
		}
		if key := cellText(value); seen[key] {
			m.add(failure(c.at, "Duplicate instance", "The axis %q lists %s twice; every value makes instances of its own.", x.path, show(value)))
			ok = false
		} else {
			seen[key] = true
		}
		x.values = append(x.values, c)
	}
	return ok
}

// cellText is a value inside an instance key.
func cellText(v cty.Value) string {
	if v.IsKnown() && !v.IsNull() && v.Type().IsObjectType() && v.Type().HasAttribute("address") {
		address := stringOf(v.GetAttr("address"))
		return address[strings.LastIndexByte(address, '.')+1:]
	}
	s := instanceText(v)
	if v.Type() == cty.String && strings.ContainsAny(s, ",=\"\n") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// cell finds the matrix value of a path.
func (i *instance) cell(path string) (cell, bool) {
	if i == nil {
		return cell{}, false
	}
	n := slices.IndexFunc(i.cells, func(c cell) bool { return c.path == path })
	if n < 0 {
		return cell{}, false
	}
	return i.cells[n], true
}

// address of a step's instance.
func (i instance) address(n *node) pipelines.Address {
	return stepAddress(n, i.key, n.expanded.multiple)
}
