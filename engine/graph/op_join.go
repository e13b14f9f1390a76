package graph

import (
	"errors"
	"fmt"
	"slices"
)

// SplitAttrs are the sizes of the parts along one axis.
type SplitAttrs struct {
	Axis  int // not negative
	Sizes []int
}

func concatOp() Op {
	return Op{Name: "Concat",
		Infer: func(in []Type, attr any) ([]Type, error) {
			if len(in) == 0 {
				return nil, errors.New("nothing to concatenate")
			}
			axis, _ := attr.(int)
			if axis < 0 || axis >= len(in[0].Shape) {
				return nil, fmt.Errorf("axis %d is outside rank %d", axis, len(in[0].Shape))
			}
			out := Type{in[0].DType, slices.Clone(in[0].Shape)}
			for _, t := range in[1:] {
				if t.DType != out.DType || len(t.Shape) != len(out.Shape) {
					return nil, errors.New("the inputs must agree in element type and rank")
				}
				for i, d := range t.Shape {
					if i == axis {
						out.Shape[i] += d
					} else if d != out.Shape[i] {
						return nil, fmt.Errorf("the inputs differ outside axis %d", axis)
					}
				}
			}
			return []Type{out}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			axis := n.Attr.(int)
			sizes := make([]int, len(n.In))
			for i, v := range n.In {
				sizes[i] = g.Dim(v, axis)
			}
			return g.SplitSizes(dy[0], axis, sizes...)
		},
		Samples: []Sample{{Name: "channels", In: []Spec{f32(Normal, 2, 3, 2), f32(Normal, 2, 1, 2), f32(Normal, 2, 2, 2)},
			Build: one(func(g *Graph, in []Value) Value { return g.Concat(1, in...) })}},
	}
}

func splitOp() Op {
	return Op{Name: "Split",
		Infer: func(in []Type, attr any) ([]Type, error) {
			a, _ := attr.(SplitAttrs)
			if a.Axis < 0 || a.Axis >= len(in[0].Shape) {
				return nil, fmt.Errorf("axis %d is outside rank %d", a.Axis, len(in[0].Shape))
			}
			var out []Type
			sum := 0
			for _, n := range a.Sizes {
				t := Type{in[0].DType, slices.Clone(in[0].Shape)}
				t.Shape[a.Axis] = n
				sum += n
				out = append(out, t)
			}
			if sum != in[0].Shape[a.Axis] {
				return nil, fmt.Errorf("parts %v do not add up to %d", a.Sizes, in[0].Shape[a.Axis])
			}
			return out, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			parts := make([]Value, len(dy))
			for i, d := range dy {
				if parts[i] = d; d == None {
					parts[i] = g.Expand(g.Cast(g.ConstF(0), g.DType(n.In[0])), g.Shape(n.Out[i])...)
				}
			}
			return []Value{g.Concat(n.Attr.(SplitAttrs).Axis, parts...)}
		},
		Samples: []Sample{
			{Name: "uneven", In: []Spec{f32(Normal, 2, 6)},
				Build: func(g *Graph, in []Value) []Value { return g.SplitSizes(in[0], 1, 1, 3, 2) }},
			{Name: "one part unused", In: []Spec{f32(Normal, 3, 2, 2)},
				Build: func(g *Graph, in []Value) []Value { return g.Split(in[0], 0, 3)[:2] }},
		},
	}
}

// Concat joins tensors along an axis.
func (g *Graph) Concat(axis int, in ...Value) Value {
	if len(in) > 0 && axis < 0 {
		axis += g.Rank(in[0])
	}
	return g.add1("Concat", axis, in...)
}

// SplitSizes cuts x along axis into parts of the given sizes.
func (g *Graph) SplitSizes(x Value, axis int, sizes ...int) []Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	out := g.add("Split", SplitAttrs{axis, slices.Clone(sizes)}, x)
	if len(out) != len(sizes) {
		return make([]Value, len(sizes))
	}
	return out
}

// Split cuts x along axis into n equal parts.
func (g *Graph) Split(x Value, axis, n int) []Value {
	d := g.Dim(x, axis)
	if n <= 0 || d%n != 0 {
		g.Fail("Split: an axis of %d has no %d equal parts", d, n)
		return make([]Value, max(n, 0))
	}
	return g.SplitSizes(x, axis, slices.Repeat([]int{d / n}, n)...)
}
