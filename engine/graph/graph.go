package graph

import (
	"fmt"
	"slices"
)

// Value names one result of one node. The zero Value is "no value": it stands
// for an absent optional input, and for what a failed call returns.
type Value int32

// None is the zero Value.
const None Value = 0

// Node is one operation. Its inputs come from earlier nodes.
type Node struct {
	Op    string  // name of an entry of Ops
	Name  string  // of an Input, Param or State; empty otherwise
	Attr  any     // the op's attribute struct, by value; nil if it has none
	In    []Value // None where an optional input is absent
	Out   []Value
	Scope string // where the node was added, for error messages and profiles
}

// Named is a value with the name under which it crosses the graph's border.
type Named struct {
	Name  string
	Value Value
}

type valueInfo struct {
	Type
	node int
}

// Graph is a computation under construction; see the package comment. It is
// not safe for concurrent use.
type Graph struct {
	name    string
	scope   string
	nodes   []Node
	values  []valueInfo // indexed by Value; entry 0 is None
	inputs  []Named
	params  []Named
	states  []Named
	outputs []Named
	assigns []Named // by state name, value = next value
	names   map[string]bool
	frozen  map[Value]bool
	err     error
}

// New returns an empty graph.
func New(name string) *Graph {
	return &Graph{name: name, values: make([]valueInfo, 1), names: map[string]bool{}, frozen: map[Value]bool{}}
}

// Name returns the name given to New.
func (g *Graph) Name() string { return g.name }

// Err returns the first error of any call on g, or nil.
func (g *Graph) Err() error { return g.err }

// Fail records an error unless one is recorded already. Layers use it to
// report a wrong configuration the same way as a wrong shape.
func (g *Graph) Fail(format string, args ...any) {
	if g.err != nil {
		return
	}
	err := fmt.Errorf(format, args...)
	if g.scope != "" {
		err = fmt.Errorf("graph %s: in %s: %w", g.name, g.scope, err)
	} else {
		err = fmt.Errorf("graph %s: %w", g.name, err)
	}
	g.err = err
}

// SetScope sets the scope of the nodes added from now on (such as
// "layer1.0.conv1") and returns the scope that was set before.
func (g *Graph) SetScope(scope string) (previous string) {
	previous, g.scope = g.scope, scope
	return previous
}

// Nodes returns the nodes in topological order. The caller must not change them.
func (g *Graph) Nodes() []Node { return g.nodes }

// Inputs returns what is fed at each run, in order of declaration.
func (g *Graph) Inputs() []Named { return slices.Clone(g.inputs) }

// Params returns all parameters, frozen ones included, in order of declaration.
func (g *Graph) Params() []Named { return slices.Clone(g.params) }

// States returns all states that are not parameters, in order of declaration.
func (g *Graph) States() []Named { return slices.Clone(g.states) }

// Outputs returns the outputs in order of declaration.
func (g *Graph) Outputs() []Named { return slices.Clone(g.outputs) }

// Assigns returns the next value of each assigned param or state, by its name.
func (g *Graph) Assigns() []Named { return slices.Clone(g.assigns) }

// Type returns the type of v; the zero Type for None.
func (g *Graph) Type(v Value) Type {
	if v <= 0 || int(v) >= len(g.values) {
		return Type{}
	}
	return g.values[v].Type
}

// Shape returns a copy of the shape of v, nil for None. After an error it is
// nil, so building code reads single sizes with Dim.
func (g *Graph) Shape(v Value) []int { return slices.Clone(g.Type(v).Shape) }

// Dim returns one size of v; axis may be negative to count from the end.
// It is 0 if v has no such axis (and then an error is recorded).
func (g *Graph) Dim(v Value, axis int) int {
	s := g.Type(v).Shape
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis >= len(s) {
		g.Fail("a value of type %v has no axis %d", g.Type(v), axis)
		return 0
	}
	return s[axis]
}

// Rank returns the number of axes of v.
func (g *Graph) Rank(v Value) int { return len(g.Type(v).Shape) }

// DType returns the element type of v, InvalidDType for None.
func (g *Graph) DType(v Value) DType { return g.Type(v).DType }

// Producer returns the index in Nodes of the node that makes v, -1 for None.
func (g *Graph) Producer(v Value) int {
	if v <= 0 || int(v) >= len(g.values) {
		return -1
	}
	return g.values[v].node
}

// add appends a node after inferring its types. It returns one value per
// output, all None after an error.
func (g *Graph) add(op string, attr any, in ...Value) []Value {
	return g.addNamed(op, "", attr, in...)
}

func (g *Graph) addNamed(op, name string, attr any, in ...Value) []Value {
	entry := Lookup(op)
	if entry == nil {
		g.Fail("unknown op %q", op)
		return make([]Value, 1)
	}
	none := make([]Value, entry.Outputs)
	if g.err != nil {
		return none
	}
	types := make([]Type, len(in))
	for i, v := range in {
		if v < 0 || int(v) >= len(g.values) {
			g.Fail("%s: input %d is not a value of this graph", op, i)
			return none
		}
		if v == None && !slices.Contains(entry.Optional, i) {
			g.Fail("%s: input %d is missing", op, i)
			return none
		}
		types[i] = g.values[v].Type
	}
	out, err := entry.Infer(types, attr)
	if err != nil {
		g.Fail("%s%v: %w", op, types, err)
		return none
	}
	n := Node{Op: op, Name: name, Attr: attr, In: slices.Clone(in), Scope: g.scope}
	for _, t := range out {
		for _, d := range t.Shape {
			if d <= 0 {
				g.Fail("%s%v: result %v has an empty axis", op, types, t)
				return none
			}
		}
		n.Out = append(n.Out, Value(len(g.values)))
		g.values = append(g.values, valueInfo{t, len(g.nodes)})
	}
	g.nodes = append(g.nodes, n)
	return slices.Clone(n.Out)
}

// add1 is add for ops with one output.
func (g *Graph) add1(op string, attr any, in ...Value) Value {
	return g.add(op, attr, in...)[0]
}
