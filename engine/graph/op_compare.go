package graph

import (
	"errors"
	"fmt"
	"slices"
)

func compare(name string) Op {
	return Op{Name: name, Infer: compareRule, Samples: []Sample{
		{Name: "float", In: []Spec{f32(Distinct, 3, 4), f32(Normal, 4)},
			Build: func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0], in[1]) }},
		{Name: "int", In: []Spec{i64(3, 4), i64(1)},
			Build: func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0], in[1]) }},
	}}
}

func logic(name string) Op {
	return Op{Name: name, Infer: logicRule, Samples: []Sample{
		{Name: "matrix", In: []Spec{boolean(3, 4), boolean(4)},
			Build: func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0], in[1]) }},
	}}
}

func notOp() Op {
	return Op{Name: "Not", Infer: func(in []Type, _ any) ([]Type, error) {
		if in[0].DType != Bool {
			return nil, errors.New("the input must be bool")
		}
		return in, nil
	}, Samples: []Sample{{Name: "vector", In: []Spec{boolean(5)}, Build: one(func(g *Graph, in []Value) Value { return g.Not(in[0]) })}}}
}

func whereOp() Op {
	return Op{Name: "Where",
		Infer: func(in []Type, _ any) ([]Type, error) {
			if in[0].DType != Bool || in[1].DType != in[2].DType {
				return nil, errors.New("wanted a bool condition and two tensors of one element type")
			}
			s, err := broadcast(in[1].Shape, in[2].Shape)
			if err == nil {
				s, err = broadcast(s, in[0].Shape)
			}
			return []Type{{in[1].DType, s}}, err
		},
		Gradient: func(g *Graph, n Node, dy []Value, need []bool) []Value {
			mask := g.Cast(n.In[0], g.DType(dy[0]))
			da := g.Mul(dy[0], mask)
			out := []Value{None, None, None}
			if need[1] {
				out[1] = unbroadcast(g, da, g.Shape(n.In[1]))
			}
			if need[2] {
				out[2] = unbroadcast(g, g.Sub(dy[0], da), g.Shape(n.In[2]))
			}
			return out
		},
		Samples: []Sample{{Name: "broadcast", In: []Spec{boolean(3, 4), f32(Normal, 3, 4), f32(Normal, 4)},
			Build: one(func(g *Graph, in []Value) Value { return g.Where(in[0], in[1], in[2]) })}},
	}
}

func castOp() Op {
	return Op{Name: "Cast",
		Infer: func(in []Type, attr any) ([]Type, error) {
			to, ok := attr.(DType)
			if !ok || to.Size() == 0 {
				return nil, fmt.Errorf("%v is not an element type", attr)
			}
			return []Type{{to, slices.Clone(in[0].Shape)}}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{g.Cast(dy[0], g.DType(n.In[0]))}
		},
		Samples: []Sample{
			{Name: "from bytes", In: []Spec{{Type{Uint8, []int{2, 3}}, Indices}},
				Build: one(func(g *Graph, in []Value) Value { return g.Cast(in[0], Float32) })},
			{Name: "from bool", In: []Spec{boolean(2, 3)},
				Build: one(func(g *Graph, in []Value) Value { return g.Cast(in[0], Float32) })},
		},
	}
}

// Greater returns a > b, broadcast.
func (g *Graph) Greater(a, b Value) Value { return g.add1("Greater", nil, a, b) }

// Less returns a < b, broadcast.
func (g *Graph) Less(a, b Value) Value { return g.add1("Less", nil, a, b) }

// Equal returns a == b, broadcast; false where either is NaN.
func (g *Graph) Equal(a, b Value) Value { return g.add1("Equal", nil, a, b) }

// And returns a && b, broadcast.
func (g *Graph) And(a, b Value) Value { return g.add1("And", nil, a, b) }

// Or returns a || b, broadcast.
func (g *Graph) Or(a, b Value) Value { return g.add1("Or", nil, a, b) }

// Not returns !x.
func (g *Graph) Not(x Value) Value { return g.add1("Not", nil, x) }

// Where returns a where cond, else b, broadcast.
func (g *Graph) Where(cond, a, b Value) Value { return g.add1("Where", nil, cond, a, b) }

// Cast converts x to another element type; x itself if it has that type.
func (g *Graph) Cast(x Value, to DType) Value {
	if x != None && g.DType(x) == to {
		return x
	}
	return g.add1("Cast", to, x)
}
