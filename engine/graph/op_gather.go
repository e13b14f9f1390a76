package graph

import (
	"errors"
	"fmt"
	"slices"
)

func gatherOp() Op {
	return Op{Name: "Gather",
		Infer: func(in []Type, attr any) ([]Type, error) {
			axis, _ := attr.(int)
			if axis < 0 || axis >= len(in[0].Shape) {
				return nil, fmt.Errorf("axis %d is outside rank %d", axis, len(in[0].Shape))
			}
			if in[1].DType != Int64 {
				return nil, errors.New("the indices must be int64")
			}
			s := slices.Concat(in[0].Shape[:axis], in[1].Shape, in[0].Shape[axis+1:])
			return []Type{{in[0].DType, s}}, nil
		},
		Gradient: gatherGradient,
		Samples: []Sample{
			{Name: "rows", In: []Spec{f32(Normal, 3, 4), i64(5)},
				Build: one(func(g *Graph, in []Value) Value { return g.Gather(in[0], in[1], 0) })},
			{Name: "one of an inner axis", In: []Spec{f32(Normal, 2, 3, 4)},
				Build: one(func(g *Graph, in []Value) Value {
					return g.Gather(in[0], g.Const(Tensor{Type{Int64, []int{}}, make([]byte, 8)}), 1)
				})},
		},
	}
}

// gatherGradient adds up the rows that came from the same index: a product
// with the one-hot matrix of the indices, which is deterministic on every
// provider (a scatter with repeated indices is not).
func gatherGradient(g *Graph, n Node, dy []Value, _ []bool) []Value {
	axis, shape := n.Attr.(int), g.Shape(n.In[0])
	lead, tail := elems(shape[:axis]), elems(shape[axis+1:])
	count := g.Type(n.In[1]).Elems()
	hot := g.OneHot(g.Reshape(n.In[1], count), shape[axis]) // [count, size]
	d := g.Reshape(dy[0], lead, count, tail)
	if lead == 1 {
		d = g.MatMul(hot, g.Reshape(d, count, tail), true, false)
	} else {
		d = g.MatMul(g.Transpose(hot, 1, 0), d, false, false)
	}
	return []Value{g.Reshape(d, shape...), None}
}

func oneHotOp() Op {
	return Op{Name: "OneHot",
		Infer: func(in []Type, attr any) ([]Type, error) {
			n, _ := attr.(int)
			if in[0].DType != Int64 || n < 1 {
				return nil, errors.New("wanted int64 indices and a positive number of classes")
			}
			return []Type{{Float32, append(slices.Clone(in[0].Shape), n)}}, nil
		},
		Samples: []Sample{{Name: "labels", In: []Spec{i64(5)},
			Build: one(func(g *Graph, in []Value) Value { return g.OneHot(in[0], 4) })}},
	}
}

// Gather takes the elements of one axis of x that the int64 indices name; the
// axis is replaced by the shape of indices.
func (g *Graph) Gather(x, indices Value, axis int) Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	return g.add1("Gather", axis, x, indices)
}

// OneHot returns float32 [..., classes]: 1 at the index, else 0. A negative
// index counts from the end; one outside gives a row of zeros.
func (g *Graph) OneHot(indices Value, classes int) Value { return g.add1("OneHot", classes, indices) }
