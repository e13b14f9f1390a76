package graph

import (
	"errors"
	"fmt"
	"slices"
)

// MatMulAttrs say whether the last two axes of an operand are swapped first.
type MatMulAttrs struct{ TransA, TransB bool }

func matMulOp() Op {
	build := func(ta, tb bool) func(*Graph, []Value) []Value {
		return one(func(g *Graph, in []Value) Value { return g.MatMul(in[0], in[1], ta, tb) })
	}
	return Op{Name: "MatMul", Infer: matMulInfer, Gradient: matMulGradient, Samples: []Sample{
		{Name: "plain", In: []Spec{f32(Normal, 3, 4), f32(Normal, 4, 5)}, Build: build(false, false)},
		{Name: "first transposed", In: []Spec{f32(Normal, 4, 3), f32(Normal, 4, 5)}, Build: build(true, false)},
		{Name: "both transposed", In: []Spec{f32(Normal, 4, 3), f32(Normal, 5, 4)}, Build: build(true, true)},
		{Name: "batched", In: []Spec{f32(Normal, 2, 3, 4, 5), f32(Normal, 2, 3, 5, 6)}, Build: build(false, false)},
		{Name: "batched, second transposed", In: []Spec{f32(Normal, 2, 3, 4, 5), f32(Normal, 2, 3, 6, 5)}, Build: build(false, true)},
		{Name: "one matrix for the batch", In: []Spec{f32(Normal, 3, 4), f32(Normal, 2, 4, 5)}, Build: build(false, false)},
	}}
}

func matMulInfer(in []Type, attr any) ([]Type, error) {
	a, _ := attr.(MatMulAttrs)
	if !in[0].DType.IsFloat() || in[0].DType != in[1].DType {
		return nil, errNotFloat
	}
	if len(in[0].Shape) < 2 || len(in[1].Shape) < 2 {
		return nil, errors.New("both operands need at least two axes")
	}
	dims := func(s []int, trans bool) (batch []int, rows, cols int) {
		n := len(s)
		if trans {
			return s[:n-2], s[n-1], s[n-2]
		}
		return s[:n-2], s[n-2], s[n-1]
	}
	ba, m, k := dims(in[0].Shape, a.TransA)
	bb, k2, n := dims(in[1].Shape, a.TransB)
	if k != k2 {
		return nil, fmt.Errorf("inner sizes %d and %d differ", k, k2)
	}
	batch, err := broadcast(ba, bb)
	return []Type{{in[0].DType, append(batch, m, n)}}, err
}

func matMulGradient(g *Graph, n Node, dy []Value, need []bool) []Value {
	at, a, b, d := n.Attr.(MatMulAttrs), n.In[0], n.In[1], dy[0]
	out := []Value{None, None}
	if need[0] {
		da := None
		if at.TransA {
			da = g.MatMul(b, d, at.TransB, true)
		} else {
			da = g.MatMul(d, b, false, !at.TransB)
		}
		out[0] = unbroadcast(g, da, g.Shape(a))
	}
	if need[1] {
		db := None
		if at.TransB {
			db = g.MatMul(d, a, true, at.TransA)
		} else {
			db = g.MatMul(a, d, !at.TransA, false)
		}
		out[1] = unbroadcast(g, db, g.Shape(b))
	}
	return out
}

func linearOp() Op {
	build := one(func(g *Graph, in []Value) Value {
		if len(in) == 2 {
			in = append(in, None)
		}
		return g.Linear(in[0], in[1], in[2])
	})
	return Op{Name: "Linear", Optional: []int{2},
		Infer: func(in []Type, _ any) ([]Type, error) {
			x, w, b := in[0], in[1], in[2]
			if !x.DType.IsFloat() || len(x.Shape) < 2 || len(w.Shape) != 2 {
				return nil, errors.New("wanted x [..., in], weight [out, in], bias [out]")
			}
			last := len(x.Shape) - 1
			if x.Shape[last] != w.Shape[1] || (b.Shape != nil && !slices.Equal(b.Shape, w.Shape[:1])) {
				return nil, fmt.Errorf("features of x %v, weight %v and bias %v do not agree", x, w, b)
			}
			out := slices.Clone(x.Shape)
			out[last] = w.Shape[0]
			return []Type{{x.DType, out}}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, need []bool) []Value {
			x, w := n.In[0], n.In[1]
			d := g.Reshape(dy[0], -1, g.Dim(w, 0))
			out := []Value{None, None, None}
			if need[0] {
				out[0] = g.Reshape(g.MatMul(d, w, false, false), g.Shape(x)...)
			}
			if need[1] {
				out[1] = g.MatMul(d, g.Reshape(x, -1, g.Dim(w, 1)), true, false)
			}
			if need[2] {
				out[2] = g.ReduceSum(d, false, 0)
			}
			return out
		},
		Samples: []Sample{
			{Name: "with bias", In: []Spec{f32(Normal, 3, 4), f32(Normal, 5, 4), f32(Normal, 5)}, Build: build},
			{Name: "without bias", In: []Spec{f32(Normal, 3, 4), f32(Normal, 5, 4)}, Build: build},
			{Name: "tokens", In: []Spec{f32(Normal, 2, 3, 4), f32(Normal, 5, 4), f32(Normal, 5)}, Build: build},
		},
	}
}

// MatMul multiplies matrices, the last two axes of its operands, each first
// transposed if asked; leading axes broadcast.
func (g *Graph) MatMul(a, b Value, transA, transB bool) Value {
	return g.add1("MatMul", MatMulAttrs{transA, transB}, a, b)
}

// Linear returns x W^T + b for x [..., in], w [out, in] and b [out] or None,
// as torch.nn.Linear.
func (g *Graph) Linear(x, w, b Value) Value { return g.add1("Linear", nil, x, w, b) }
