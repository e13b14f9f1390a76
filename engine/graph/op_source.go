package graph

import (
	"errors"
	"fmt"
)

// Sources have their type in the attribute: a Type, or a Tensor for Const.

func sourceOp(name string) Op {
	return Op{Name: name, Infer: func(_ []Type, attr any) ([]Type, error) {
		t, ok := attr.(Type)
		if !ok || t.DType.Size() == 0 {
			return nil, errors.New("not a type")
		}
		return []Type{t}, nil
	}}
}

func constOp() Op {
	return Op{Name: "Const", Infer: func(_ []Type, attr any) ([]Type, error) {
		t, ok := attr.(Tensor)
		if !ok {
			return nil, errors.New("not a tensor")
		}
		if want := t.Elems() * t.DType.Size(); len(t.Raw) != want || want == 0 {
			return nil, fmt.Errorf("%v needs %d bytes, got %d", t.Type, want, len(t.Raw))
		}
		return []Type{t.Type}, nil
	}}
}

func (g *Graph) source(op, name string, dt DType, shape []int) (Value, bool) {
	if g.err == nil && (name == "" || g.names[name]) {
		g.Fail("%s %q: the name is empty or taken", op, name)
	}
	v := g.addNamed(op, name, Type{dt, append([]int{}, shape...)})[0]
	if v != None {
		g.names[name] = true
	}
	return v, v != None
}

// Input declares a tensor that is fed at each run.
func (g *Graph) Input(name string, dt DType, shape ...int) Value {
	v, ok := g.source("Input", name, dt, shape)
	if ok {
		g.inputs = append(g.inputs, Named{name, v})
	}
	return v
}

// Param declares a trainable float32 tensor that is kept between runs.
func (g *Graph) Param(name string, shape ...int) Value {
	v, ok := g.source("Param", name, Float32, shape)
	if ok {
		g.params = append(g.params, Named{name, v})
	}
	return v
}

// State declares a tensor that is kept between runs and is not trained: a
// buffer, an optimizer slot, an average.
func (g *Graph) State(name string, dt DType, shape ...int) Value {
	v, ok := g.source("State", name, dt, shape)
	if ok {
		g.states = append(g.states, Named{name, v})
	}
	return v
}

// Freeze excludes a parameter from Trainable, and so from gradients.
func (g *Graph) Freeze(param Value) {
	for _, p := range g.params {
		if p.Value == param {
			g.frozen[param] = true
			return
		}
	}
	g.Fail("Freeze: value %d is not a parameter", param)
}

// Frozen reports whether a parameter was frozen.
func (g *Graph) Frozen(param Value) bool { return g.frozen[param] }

// Trainable returns the parameters that are not frozen, in order of declaration.
func (g *Graph) Trainable() []Named {
	var out []Named
	for _, p := range g.params {
		if !g.frozen[p.Value] {
			out = append(out, p)
		}
	}
	return out
}

// SourceName returns the name of v if it is an Input, Param or State.
func (g *Graph) SourceName(v Value) string {
	if i := g.Producer(v); i >= 0 {
		return g.nodes[i].Name
	}
	return ""
}

// Const adds a constant.
func (g *Graph) Const(t Tensor) Value { return g.add1("Const", t) }

// ConstF adds a float32 scalar.
func (g *Graph) ConstF(v float32) Value { return g.Const(ScalarTensor(v)) }

// Assign sets the next value of a Param or State, once. Lowering gives it to
// the caller as the output "out/" + name.
func (g *Graph) Assign(state, next Value) {
	if g.err != nil {
		return
	}
	i := g.Producer(state)
	if i < 0 || (g.nodes[i].Op != "Param" && g.nodes[i].Op != "State") {
		g.Fail("Assign: value %d is not a param or state", state)
		return
	}
	name := g.nodes[i].Name
	for _, a := range g.assigns {
		if a.Name == name {
			g.Fail("Assign: %q is assigned twice", name)
			return
		}
	}
	if have, want := g.Type(next), g.Type(state); have.String() != want.String() {
		g.Fail("Assign: %q is %v, its next value %v", name, want, have)
		return
	}
	g.assigns = append(g.assigns, Named{name, next})
}

// Output names a result of the graph.
func (g *Graph) Output(name string, v Value) {
	if g.err != nil {
		return
	}
	if name == "" || g.names[name] {
		g.Fail("Output %q: the name is empty or taken", name)
		return
	}
	if g.Producer(v) < 0 {
		g.Fail("Output %q: value %d does not exist", name, v)
		return
	}
	g.names[name] = true
	g.outputs = append(g.outputs, Named{name, v})
}
