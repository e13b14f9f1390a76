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
			{Name: "twice, with one scale", In: in(3, 4, 5, 5), Build: func(g *Graph, in []Value) []Value {
				y, _, _ := g.BatchNorm(in[0], in[1], in[2], 1e-5)
				y, _, _ = g.BatchNorm(g.Tanh(y), in[1], in[1], 1e-5)
				return []Value{y}
			}},
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

// BatchNorm normalises each channel of x [N, C, ...] by the statistics of the
// batch, then scales and shifts it. It also returns the batch's mean and its
// biased variance (divided by N), each [C]; running averages are states of
// their own that the caller assigns.
func (g *Graph) BatchNorm(x, scale, bias Value, eps float32) (y, mean, variance Value) {
	out := g.add("BatchNorm", NormAttrs{eps}, x, scale, bias)
	return out[0], out[1], out[2]
}
