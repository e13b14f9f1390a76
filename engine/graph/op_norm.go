package graph

import (
	"errors"
	"fmt"
	"slices"
)

// NormAttrs hold the number added to the variance.
type NormAttrs struct{ Epsilon float32 }

func channels(x Type, rest ...Type) error {
	if !x.DType.IsFloat() || len(x.Shape) < 2 {
		return errors.New("wanted float x [N, C, ...]")
	}
	for _, t := range rest {
		if !slices.Equal(t.Shape, x.Shape[1:2]) {
			return fmt.Errorf("wanted vectors of %d channels, got %v", x.Shape[1], t)
		}
	}
	return nil
}

func batchNormOp() Op {
	norm := func(g *Graph, in []Value) []Value {
		y, _, _ := g.BatchNorm(in[0], in[1], in[2], 1e-5)
		return []Value{y}
	}
	in := func(shape ...int) []Spec {
		return []Spec{f32(Normal, shape...), f32(Normal, shape[1]), f32(Normal, shape[1])}
	}
	return Op{Name: "BatchNorm", Outputs: 3,
		Infer: func(in []Type, _ any) ([]Type, error) {
			stat := Type{in[0].DType, in[1].Shape}
			return []Type{in[0], stat, stat}, channels(in[0], in[1], in[2])
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			if dy[1] != None || dy[2] != None {
				g.Fail("BatchNorm: no gradient flows through the batch statistics; the loss uses them")
				return nil
			}
			return g.add("BatchNormGrad", n.Attr, n.In[0], dy[0], n.In[1], n.Out[1], n.Out[2])
		},
		Samples: []Sample{
			{Name: "image", In: in(3, 4, 5, 5), Build: norm},
			{Name: "image in blocks", In: in(2, 16, 4, 3), Build: norm},
			{Name: "rows", In: in(8, 4), Build: norm},
			{Name: "statistics", In: []Spec{i64(2, 4, 3, 3)}, Build: func(g *Graph, in []Value) []Value {
				ones := g.Const(Float32Tensor([]float32{1, 1, 1, 1}))
				y, mean, variance := g.BatchNorm(g.Cast(in[0], Float32), ones, ones, 1e-5)
				return []Value{y, mean, variance}
			}},
		},
	}
}

// batchNormGradOp is BatchNormGrad(x, dy, scale, mean, var) -> dx, dscale, dbias.
func batchNormGradOp() Op {
	return Op{Name: "BatchNormGrad", Outputs: 3,
		Infer: func(in []Type, _ any) ([]Type, error) {
			if in[0].String() != in[1].String() {
				return nil, errors.New("the output gradient must have the type of x")
			}
			return []Type{in[0], in[2], in[2]}, channels(in[0], in[2], in[3], in[4])
		},
		Samples: []Sample{{Name: "image in blocks", In: []Spec{f32(Normal, 2, 16, 4, 3), f32(Normal, 2, 16, 4, 3), f32(Normal, 16)},
			Build: func(g *Graph, in []Value) []Value {
				_, mean, variance := g.BatchNorm(in[0], in[2], in[2], 1e-5)
				return g.add("BatchNormGrad", NormAttrs{1e-5}, in[0], in[1], in[2], mean, variance)
			}}},
	}
}

func layerNormOp() Op {
	return Op{Name: "LayerNorm", Outputs: 3,
		Infer: func(in []Type, _ any) ([]Type, error) {
			x := in[0]
			if !x.DType.IsFloat() || len(x.Shape) < 2 {
				return nil, errors.New("wanted float x [..., D]")
			}
			last := len(x.Shape) - 1
			for _, t := range in[1:] {
				if !slices.Equal(t.Shape, x.Shape[last:]) {
					return nil, fmt.Errorf("wanted scale and bias of %d features, got %v", x.Shape[last], t)
				}
			}
			stat := Type{x.DType, slices.Clone(x.Shape)}
			stat.Shape[last] = 1
			return []Type{x, stat, stat}, nil
		},
		Gradient: layerNormGradient,
		Samples: []Sample{
			{Name: "tokens", In: []Spec{f32(Normal, 2, 3, 8), f32(Normal, 8), f32(Normal, 8)},
				Build: one(func(g *Graph, in []Value) Value { return g.LayerNorm(in[0], in[1], in[2], 1e-6) })},
			{Name: "rows", In: []Spec{f32(Normal, 4, 6), f32(Normal, 6), f32(Normal, 6)},
				Build: one(func(g *Graph, in []Value) Value { return g.LayerNorm(in[0], in[1], in[2], 1e-5) })},
		},
	}
}

// layerNormGradient: with xh = (x-mean)*r and u = dy*scale,
// dx = r * (u - mean(u) - xh*mean(u*xh)).
func layerNormGradient(g *Graph, n Node, dy []Value, need []bool) []Value {
	x, scale, d := n.In[0], n.In[1], g.Dim(n.In[0], -1)
	xh := g.Mul(g.Sub(x, n.Out[1]), n.Out[2])
	rows := func(v Value) Value { return g.ReduceSum(g.Reshape(v, -1, d), false, 0) }
	out := []Value{None, None, None}
	if need[0] {
		u := g.Mul(dy[0], scale)
		m1 := g.ReduceMean(u, true, -1)
		m2 := g.ReduceMean(g.Mul(u, xh), true, -1)
		out[0] = g.Mul(g.Sub(g.Sub(u, m1), g.Mul(xh, m2)), n.Out[2])
	}
	if need[1] {
		out[1] = rows(g.Mul(dy[0], xh))
	}
	if need[2] {
		out[2] = rows(dy[0])
	}
	return out
}

// BatchNorm normalises each channel of x [N, C, ...] by the statistics of the
// batch, then scales and shifts it. It also returns the batch's mean and its
// biased variance (divided by N), each [C]; running averages are states of
// their own that the caller assigns.
func (g *Graph) BatchNorm(x, scale, bias Value, eps float32) (y, mean, variance Value) {
	out := g.add("BatchNorm", NormAttrs{eps}, x, scale, bias)
	return out[0], out[1], out[2]
}

// BatchNormInference normalises with given statistics [C]; gradients flow to
// x, scale and bias.
func (g *Graph) BatchNormInference(x, scale, bias, mean, variance Value, eps float32) Value {
	a := g.Div(scale, g.Sqrt(g.Add(variance, g.ConstF(eps))))
	b := g.Sub(bias, g.Mul(mean, a))
	shape := make([]int, max(g.Rank(x), 2))
	for i := range shape {
		shape[i] = 1
	}
	shape[1] = -1
	return g.Add(g.Mul(x, g.Reshape(a, shape...)), g.Reshape(b, shape...))
}

// LayerNorm normalises x [..., D] over its last axis, then scales and shifts
// it by vectors [D].
func (g *Graph) LayerNorm(x, scale, bias Value, eps float32) Value {
	return g.add("LayerNorm", NormAttrs{eps}, x, scale, bias)[0]
}
