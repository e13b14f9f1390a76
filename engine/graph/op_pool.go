package graph

import (
	"errors"
	"fmt"
)

// PoolAttrs describe a two-dimensional pooling, the same in both directions.
type PoolAttrs struct {
	Kernel int
	Stride int // 0 means Kernel
	Pad    int // less than Kernel
}

func poolInfer(in []Type, attr any) ([]Type, error) {
	a, _ := attr.(PoolAttrs)
	x := in[0]
	if !x.DType.IsFloat() || len(x.Shape) != 4 {
		return nil, errors.New("wanted float x [N, C, H, W]")
	}
	if a.Kernel < 1 || a.Stride < 1 || a.Pad < 0 || a.Pad >= a.Kernel {
		return nil, fmt.Errorf("bad attributes %+v", a)
	}
	out := []int{x.Shape[0], x.Shape[1], 0, 0}
	for i := 2; i < 4; i++ {
		span := x.Shape[i] + 2*a.Pad - a.Kernel
		if span < 0 {
			return nil, errors.New("the kernel is larger than the padded image")
		}
		out[i] = span/a.Stride + 1
	}
	return []Type{{x.DType, out}}, nil
}

func maxPoolOp() Op {
	pool := func(a PoolAttrs) func(*Graph, []Value) []Value {
		return one(func(g *Graph, in []Value) Value { return g.MaxPool(in[0], a) })
	}
	return Op{Name: "MaxPool", Infer: poolInfer,
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{g.add1("MaxPoolGrad", n.Attr, n.In[0], n.Out[0], dy[0])}
		},
		Samples: []Sample{
			{Name: "2x2", In: []Spec{f32(Distinct, 2, 3, 4, 6)}, Build: pool(PoolAttrs{Kernel: 2})},
			{Name: "2x2, odd image", In: []Spec{f32(Distinct, 2, 16, 5, 7)}, Build: pool(PoolAttrs{Kernel: 2})},
			{Name: "3x3 stride 2", In: []Spec{f32(Distinct, 2, 16, 8, 8)}, Build: pool(PoolAttrs{Kernel: 3, Stride: 2, Pad: 1})},
			{Name: "3x3 stride 2, odd image", In: []Spec{f32(Distinct, 1, 2, 7, 9)}, Build: pool(PoolAttrs{Kernel: 3, Stride: 2, Pad: 1})},
			{Name: "3x3 stride 2, unpadded", In: []Spec{f32(Distinct, 1, 2, 8, 9)}, Build: pool(PoolAttrs{Kernel: 3, Stride: 2})},
			{Name: "3x3 stride 1", In: []Spec{f32(Distinct, 1, 2, 4, 4)}, Build: pool(PoolAttrs{Kernel: 3, Stride: 1, Pad: 1})},
		},
	}
}

// maxPoolGradOp is MaxPoolGrad(x, y, dy): dy goes to the place of the maximum.
// Which of several equal maxima gets it is the lowering's choice.
func maxPoolGradOp() Op {
	return Op{Name: "MaxPoolGrad",
		Infer: func(in []Type, attr any) ([]Type, error) {
			y, err := poolInfer(in[:1], attr)
			if err == nil && (y[0].String() != in[1].String() || y[0].String() != in[2].String()) {
				err = fmt.Errorf("the pooling makes %v", y[0])
			}
			return []Type{in[0]}, err
		},
		Samples: []Sample{{Name: "2x2", In: []Spec{f32(Distinct, 2, 3, 4, 6), f32(Normal, 2, 3, 2, 3)},
			Build: func(g *Graph, in []Value) []Value {
				a := PoolAttrs{Kernel: 2}
				return g.add("MaxPoolGrad", PoolAttrs{2, 2, 0}, in[0], g.MaxPool(in[0], a), in[1])
			}}},
	}
}

func globalAvgPoolOp() Op {
	return Op{Name: "GlobalAvgPool",
		Infer: func(in []Type, _ any) ([]Type, error) {
			if !in[0].DType.IsFloat() || len(in[0].Shape) != 4 {
				return nil, errors.New("wanted float x [N, C, H, W]")
			}
			return []Type{{in[0].DType, []int{in[0].Shape[0], in[0].Shape[1], 1, 1}}}, nil
		},
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			s := g.Shape(n.In[0])
			return []Value{g.Expand(g.Scale(dy[0], 1/float32(s[2]*s[3])), s...)}
		},
		Samples: []Sample{{Name: "image", In: []Spec{f32(Normal, 2, 16, 3, 5)},
			Build: one(func(g *Graph, in []Value) Value { return g.GlobalAvgPool(in[0]) })}},
	}
}

// MaxPool takes the maximum of each window of x [N, C, H, W]; padding never wins.
func (g *Graph) MaxPool(x Value, a PoolAttrs) Value {
	if a.Stride == 0 {
		a.Stride = a.Kernel
	}
	return g.add1("MaxPool", a, x)
}

// GlobalAvgPool averages x [N, C, H, W] over its pixels, giving [N, C, 1, 1].
func (g *Graph) GlobalAvgPool(x Value) Value { return g.add1("GlobalAvgPool", nil, x) }
