package graph

import (
	"errors"
	"fmt"
	"slices"
)

// ReduceAttrs say which axes are reduced (sorted, not negative) and whether
// they stay with size 1.
type ReduceAttrs struct {
	Axes []int
	Keep bool
}

func reduceRule(in []Type, attr any) ([]Type, error) {
	a, _ := attr.(ReduceAttrs)
	if in[0].DType == Bool {
		return nil, errors.New("reduction of bool; cast first")
	}
	var out []int
	for i, d := range in[0].Shape {
		if !slices.Contains(a.Axes, i) {
			out = append(out, d)
		} else if a.Keep {
			out = append(out, 1)
		}
	}
	for i, axis := range a.Axes {
		if axis < 0 || axis >= len(in[0].Shape) || (i > 0 && a.Axes[i-1] == axis) {
			return nil, fmt.Errorf("axes %v do not fit rank %d", a.Axes, len(in[0].Shape))
		}
	}
	if out == nil {
		out = []int{}
	}
	return []Type{{in[0].DType, out}}, nil
}

func reduce(name string, gradient func(*Graph, Node, []Value, []bool) []Value) Op {
	build := func(keep bool, axes ...int) func(*Graph, []Value) []Value {
		return one(func(g *Graph, in []Value) Value { return g.reduce(name, in[0], keep, axes) })
	}
	return Op{Name: name, Infer: reduceRule, Gradient: gradient, Samples: []Sample{
		{Name: "all", In: []Spec{f32(Distinct, 3, 4)}, Build: build(false)},
		{Name: "last, kept", In: []Spec{f32(Distinct, 3, 4)}, Build: build(true, -1)},
		{Name: "per channel", In: []Spec{f32(Distinct, 2, 16, 3, 2)}, Build: build(false, 0, 2, 3)},
	}}
}

// restored returns d with the reduced axes of n put back with size 1.
func restored(g *Graph, n Node, d Value) Value {
	shape := g.Shape(n.In[0])
	for _, axis := range n.Attr.(ReduceAttrs).Axes {
		shape[axis] = 1
	}
	return g.Reshape(d, shape...)
}

func reduceSumOp() Op {
	return reduce("ReduceSum", func(g *Graph, n Node, dy []Value, _ []bool) []Value {
		return []Value{g.Expand(restored(g, n, dy[0]), g.Shape(n.In[0])...)}
	})
}

func reduceMeanOp() Op {
	return reduce("ReduceMean", func(g *Graph, n Node, dy []Value, _ []bool) []Value {
		count := g.Type(n.In[0]).Elems() / g.Type(n.Out[0]).Elems()
		return []Value{g.Expand(restored(g, n, g.Scale(dy[0], 1/float32(count))), g.Shape(n.In[0])...)}
	})
}

// reduceMaxOp sends the gradient to every element that equals the maximum.
func reduceMaxOp() Op {
	return reduce("ReduceMax", func(g *Graph, n Node, dy []Value, _ []bool) []Value {
		hit := g.Cast(g.Equal(n.In[0], restored(g, n, n.Out[0])), g.DType(dy[0]))
		return []Value{g.Mul(hit, restored(g, n, dy[0]))}
	})
}

func argMaxOp() Op {
	return Op{Name: "ArgMax",
		Infer: func(in []Type, attr any) ([]Type, error) {
			axis, _ := attr.(int)
			out, err := reduceRule(in, ReduceAttrs{Axes: []int{axis}})
			if err == nil {
				out[0].DType = Int64
			}
			return out, err
		},
		Samples: []Sample{{Name: "classes", In: []Spec{f32(Distinct, 3, 4)},
			Build: one(func(g *Graph, in []Value) Value { return g.ArgMax(in[0], -1) })}},
	}
}

func (g *Graph) reduce(op string, x Value, keep bool, axes []int) Value {
	rank := g.Rank(x)
	a := ReduceAttrs{Keep: keep}
	for _, axis := range axes {
		if axis < 0 {
			axis += rank
		}
		a.Axes = append(a.Axes, axis)
	}
	for i := 0; len(axes) == 0 && i < rank; i++ {
		a.Axes = append(a.Axes, i)
	}
	slices.Sort(a.Axes)
	return g.add1(op, a, x)
}

// ReduceSum adds up over the given axes, all if none are given; keep leaves
// them with size 1.
func (g *Graph) ReduceSum(x Value, keep bool, axes ...int) Value {
	return g.reduce("ReduceSum", x, keep, axes)
}

// ReduceMean averages over the given axes, all if none are given.
func (g *Graph) ReduceMean(x Value, keep bool, axes ...int) Value {
	return g.reduce("ReduceMean", x, keep, axes)
}

// ReduceMax takes the maximum over the given axes, all if none are given.
func (g *Graph) ReduceMax(x Value, keep bool, axes ...int) Value {
	return g.reduce("ReduceMax", x, keep, axes)
}

// ArgMax returns the int64 index of the first maximum along an axis, which is dropped.
func (g *Graph) ArgMax(x Value, axis int) Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	return g.add1("ArgMax", axis, x)
}
