package graph

import (
	"errors"
	"fmt"
	"slices"
)

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

// LayerNorm normalises x [..., D] over its last axis, then scales and shifts
// it by vectors [D].
func (g *Graph) LayerNorm(x, scale, bias Value, eps float32) Value {
	return g.add("LayerNorm", NormAttrs{eps}, x, scale, bias)[0]
}
