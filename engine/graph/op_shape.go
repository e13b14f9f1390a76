package graph

import (
	"fmt"
	"slices"
)

func reshapeOp() Op {
	return Op{Name: "Reshape",
		Infer: func(in []Type, attr any) ([]Type, error) {
			shape, _ := attr.([]int)
			out := slices.Clone(shape)
			known, free := 1, -1
			for i, d := range shape {
				if d == -1 && free < 0 {
					free = i
					continue
				}
				known *= d
			}
			if free >= 0 && known > 0 {
				out[free] = in[0].Elems() / known
				known *= out[free]
			}
			if known != in[0].Elems() {
				return nil, fmt.Errorf("%d elements do not fit shape %v", in[0].Elems(), shape)
			}
			return []Type{{in[0].DType, out}}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{g.Reshape(dy[0], g.Shape(n.In[0])...)}
		},
		Samples: []Sample{
			{Name: "flatten", In: []Spec{f32(Normal, 2, 3, 4)},
				Build: one(func(g *Graph, in []Value) Value { return g.Reshape(in[0], 2, -1) })},
			{Name: "scalar", In: []Spec{f32(Normal, 1)},
				Build: one(func(g *Graph, in []Value) Value { return g.Reshape(in[0]) })},
		},
	}
}

func transposeOp() Op {
	return Op{Name: "Transpose",
		Infer: func(in []Type, attr any) ([]Type, error) {
			perm, _ := attr.([]int)
			sorted := slices.Sorted(slices.Values(perm))
			out := make([]int, len(perm))
			if len(perm) != len(in[0].Shape) {
				return nil, fmt.Errorf("permutation %v does not fit rank %d", perm, len(in[0].Shape))
			}
			for i, p := range perm {
				if sorted[i] != i {
					return nil, fmt.Errorf("%v is not a permutation", perm)
				}
				out[i] = in[0].Shape[p]
			}
			return []Type{{in[0].DType, out}}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			perm := n.Attr.([]int)
			back := make([]int, len(perm))
			for i, p := range perm {
				back[p] = i
			}
			return []Value{g.Transpose(dy[0], back...)}
		},
		Samples: []Sample{{Name: "rotate", In: []Spec{f32(Normal, 2, 3, 4)},
			Build: one(func(g *Graph, in []Value) Value { return g.Transpose(in[0], 2, 0, 1) })}},
	}
}

func expandOp() Op {
	return Op{Name: "Expand",
		Infer: func(in []Type, attr any) ([]Type, error) {
			shape, _ := attr.([]int)
			out, err := broadcast(in[0].Shape, shape)
			if err == nil && !slices.Equal(out, shape) {
				err = fmt.Errorf("%v does not expand to %v", in[0], shape)
			}
			return []Type{{in[0].DType, out}}, err
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{unbroadcast(g, dy[0], g.Shape(n.In[0]))}
		},
		Samples: []Sample{{Name: "class token", In: []Spec{f32(Normal, 1, 1, 6)},
			Build: one(func(g *Graph, in []Value) Value { return g.Expand(in[0], 3, 1, 6) })}},
	}
}

// Reshape gives x another shape of as many elements; one size may be -1.
// No sizes make a scalar.
func (g *Graph) Reshape(x Value, shape ...int) Value {
	if x != None && slices.Equal(g.Type(x).Shape, shape) {
		return x
	}
	return g.add1("Reshape", append([]int{}, shape...), x)
}

// Flatten joins the axes from axis on into one.
func (g *Graph) Flatten(x Value, axis int) Value {
	s := g.Shape(x)
	a, err := normAxis(axis, len(s))
	if err != nil {
		g.Fail("Flatten: %w", err)
		return None
	}
	return g.Reshape(x, append(s[:a:a], -1)...)
}

// Transpose permutes the axes: axis i of the result is axis perm[i] of x.
func (g *Graph) Transpose(x Value, perm ...int) Value {
	return g.add1("Transpose", slices.Clone(perm), x)
}

// Expand stretches axes of size 1, and adds leading ones, to reach shape.
func (g *Graph) Expand(x Value, shape ...int) Value {
	if x != None && slices.Equal(g.Type(x).Shape, shape) {
		return x
	}
	return g.add1("Expand", append([]int{}, shape...), x)
}
