package graph

import (
	"fmt"
	"slices"
)

// SliceAttrs cut a range out of some axes.
type SliceAttrs struct {
	Axes   []int // not negative
	Starts []int // first index
	Ends   []int // one past the last index
	Steps  []int // positive; nil means 1
}

// PadAttrs add a border to every axis.
type PadAttrs struct {
	Before, After []int // one size an axis, not negative
	Value         float32
}

func (a SliceAttrs) step(i int) int {
	if a.Steps == nil {
		return 1
	}
	return a.Steps[i]
}

func sliceOp() Op {
	return Op{Name: "Slice",
		Infer: func(in []Type, attr any) ([]Type, error) {
			a, _ := attr.(SliceAttrs)
			if len(a.Starts) != len(a.Axes) || len(a.Ends) != len(a.Axes) || (a.Steps != nil && len(a.Steps) != len(a.Axes)) {
				return nil, fmt.Errorf("starts, ends, steps and axes differ in length")
			}
			out := Type{in[0].DType, slices.Clone(in[0].Shape)}
			for i, axis := range a.Axes {
				if axis < 0 || axis >= len(out.Shape) {
					return nil, fmt.Errorf("axis %d is outside rank %d", axis, len(out.Shape))
				}
				if s := a.step(i); s < 1 || a.Starts[i] < 0 || a.Ends[i] > out.Shape[axis] || a.Starts[i] >= a.Ends[i] {
					return nil, fmt.Errorf("range %d:%d:%d is outside axis %d of size %d", a.Starts[i], a.Ends[i], s, axis, out.Shape[axis])
				}
				out.Shape[axis] = (a.Ends[i] - a.Starts[i] + a.step(i) - 1) / a.step(i)
			}
			return []Type{out}, nil
		},
		Gradient: sliceGradient,
		Samples: []Sample{
			{Name: "range", In: []Spec{f32(Normal, 4, 5)},
				Build: one(func(g *Graph, in []Value) Value { return g.Slice(in[0], 1, 1, 4) })},
			{Name: "two axes", In: []Spec{f32(Normal, 4, 5, 3)},
				Build: one(func(g *Graph, in []Value) Value {
					return g.SliceAxes(in[0], SliceAttrs{Axes: []int{0, 2}, Starts: []int{1, 0}, Ends: []int{3, 2}})
				})},
			{Name: "every second", In: []Spec{f32(Normal, 2, 1, 7, 6)},
				Build: one(func(g *Graph, in []Value) Value {
					return g.SliceAxes(in[0], SliceAttrs{Axes: []int{2, 3}, Starts: []int{1, 0}, Ends: []int{7, 6}, Steps: []int{2, 2}})
				})},
		},
	}
}

// sliceGradient puts the gradient back in place: a step leaves gaps, which are
// made by padding a new last axis, and the cut-off ends are padded.
func sliceGradient(g *Graph, n Node, dy []Value, _ []bool) []Value {
	a, shape, d := n.Attr.(SliceAttrs), g.Shape(n.In[0]), dy[0]
	before, after := make([]int, len(shape)), make([]int, len(shape))
	for i, axis := range a.Axes {
		if s := a.step(i); s > 1 {
			d = spread(g, d, axis, s)
		}
		before[axis] = a.Starts[i]
		after[axis] = shape[axis] - a.Starts[i] - g.Dim(d, axis)
		if over := -after[axis]; over > 0 { // the last step reaches past the end
			d = g.Slice(d, axis, 0, g.Dim(d, axis)-over)
			after[axis] = 0
		}
	}
	return []Value{g.Pad(d, PadAttrs{Before: before, After: after})}
}

// spread puts s-1 zeros after each element along axis.
func spread(g *Graph, x Value, axis, s int) Value {
	shape := g.Shape(x)
	if axis >= len(shape) {
		return None
	}
	split := slices.Insert(slices.Clone(shape), axis+1, 1)
	after := make([]int, len(split))
	after[axis+1] = s - 1
	y := g.Pad(g.Reshape(x, split...), PadAttrs{Before: make([]int, len(split)), After: after})
	shape[axis] *= s
	return g.Reshape(y, shape...)
}

func padOp() Op {
	return Op{Name: "Pad",
		Infer: func(in []Type, attr any) ([]Type, error) {
			a, _ := attr.(PadAttrs)
			if len(a.Before) != len(in[0].Shape) || len(a.After) != len(in[0].Shape) {
				return nil, fmt.Errorf("pads %v, %v do not fit rank %d", a.Before, a.After, len(in[0].Shape))
			}
			if !in[0].DType.IsFloat() {
				return nil, errNotFloat
			}
			out := Type{in[0].DType, slices.Clone(in[0].Shape)}
			for i := range out.Shape {
				if a.Before[i] < 0 || a.After[i] < 0 {
					return nil, fmt.Errorf("negative pad on axis %d", i)
				}
				out.Shape[i] += a.Before[i] + a.After[i]
			}
			return []Type{out}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			a, shape := n.Attr.(PadAttrs), g.Shape(n.In[0])
			var s SliceAttrs
			for i := range shape {
				if a.Before[i]+a.After[i] > 0 {
					s.Axes = append(s.Axes, i)
					s.Starts = append(s.Starts, a.Before[i])
					s.Ends = append(s.Ends, a.Before[i]+shape[i])
				}
			}
			return []Value{g.SliceAxes(dy[0], s)}
		},
		Samples: []Sample{{Name: "image", In: []Spec{f32(Normal, 1, 2, 3, 3)},
			Build: one(func(g *Graph, in []Value) Value {
				return g.Pad(in[0], PadAttrs{Before: []int{0, 0, 1, 0}, After: []int{0, 1, 2, 0}, Value: 0.5})
			})}},
	}
}

// Slice returns indices start … end-1 of one axis.
func (g *Graph) Slice(x Value, axis, start, end int) Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	return g.SliceAxes(x, SliceAttrs{Axes: []int{axis}, Starts: []int{start}, Ends: []int{end}})
}

// SliceAxes cuts ranges out of several axes; x itself if there are none.
func (g *Graph) SliceAxes(x Value, a SliceAttrs) Value {
	if len(a.Axes) == 0 {
		return x
	}
	return g.add1("Slice", a, x)
}

// Pad adds a constant border; x itself if every size is 0.
func (g *Graph) Pad(x Value, a PadAttrs) Value {
	isZero := func(n int) bool { return n == 0 }
	if x != None && len(a.Before) == g.Rank(x) && !slices.ContainsFunc(a.Before, not(isZero)) && !slices.ContainsFunc(a.After, not(isZero)) {
		return x
	}
	return g.add1("Pad", a, x)
}

func not(f func(int) bool) func(int) bool { return func(n int) bool { return !f(n) } }
