package graph

import (
	"errors"
	"fmt"
)

// ConvAttrs describe a two-dimensional convolution, the same in both directions.
type ConvAttrs struct {
	Stride int // 0 means 1
	Pad    int // zeros on each side
	Group  int // 0 means 1; the number of channels makes it depthwise
}

func (a ConvAttrs) normal() ConvAttrs {
	a.Stride, a.Group = max(a.Stride, 1), max(a.Group, 1)
	return a
}

// ConvGradAttrs of ConvGradInput and ConvGradWeight: the convolution, and the
// shape of what the gradient is of.
type ConvGradAttrs struct {
	ConvAttrs
	Shape []int
}

func convInfer(in []Type, attr any) ([]Type, error) {
	a, _ := attr.(ConvAttrs)
	x, w := in[0], in[1]
	if !x.DType.IsFloat() || x.DType != w.DType || len(x.Shape) != 4 || len(w.Shape) != 4 {
		return nil, errors.New("wanted float x [N, C, H, W] and weight [K, C/group, R, S]")
	}
	if a.Stride < 1 || a.Pad < 0 || a.Group < 1 {
		return nil, fmt.Errorf("bad attributes %+v", a)
	}
	if x.Shape[1] != w.Shape[1]*a.Group || w.Shape[0]%a.Group != 0 {
		return nil, fmt.Errorf("%d channels do not fit weight %v in %d groups", x.Shape[1], w, a.Group)
	}
	out := []int{x.Shape[0], w.Shape[0], 0, 0}
	for i := 2; i < 4; i++ {
		span := x.Shape[i] + 2*a.Pad - w.Shape[i]
		if span < 0 {
			return nil, fmt.Errorf("kernel %v is larger than the padded image", w)
		}
		out[i] = span/a.Stride + 1
	}
	return []Type{{x.DType, out}}, nil
}

// convGradInfer checks a gradient op against the convolution it belongs to.
func convGradInfer(in []Type, attr any, ofInput bool) ([]Type, error) {
	a, ok := attr.(ConvGradAttrs)
	if !ok {
		return nil, errors.New("not a ConvGradAttrs")
	}
	want := Type{in[0].DType, a.Shape}
	dy, pair := in[0], []Type{want, in[1]}
	if !ofInput {
		dy, pair = in[1], []Type{in[0], want}
	}
	y, err := convInfer(pair, a.ConvAttrs)
	if err == nil && y[0].String() != dy.String() {
		err = fmt.Errorf("the output gradient is %v, the convolution makes %v", dy, y[0])
	}
	return []Type{want}, err
}

func convOp() Op {
	return Op{Name: "Conv", Infer: convInfer,
		Gradient: func(g *Graph, n Node, dy []Value, need []bool) []Value {
			x, w, a := n.In[0], n.In[1], n.Attr.(ConvAttrs)
			out := []Value{None, None}
			if need[0] {
				out[0] = g.add1("ConvGradInput", ConvGradAttrs{a, g.Shape(x)}, dy[0], w)
			}
			if need[1] {
				out[1] = g.add1("ConvGradWeight", ConvGradAttrs{a, g.Shape(w)}, x, dy[0])
			}
			return out
		},
		Samples: convSamples(func(g *Graph, x, w Value, a ConvAttrs) Value { return g.Conv(x, w, a) }),
	}
}

// convSamples cover what the lowerings treat differently: kernel, stride,
// padding, groups, block-sized channel counts, uneven borders.
func convSamples(build func(g *Graph, x, w Value, a ConvAttrs) Value) []Sample {
	cases := []struct {
		name string
		x, w [4]int
		a    ConvAttrs
	}{
		{"3x3", [4]int{2, 3, 6, 5}, [4]int{4, 3, 3, 3}, ConvAttrs{Pad: 1}},
		{"3x3 in blocks", [4]int{2, 16, 6, 6}, [4]int{32, 16, 3, 3}, ConvAttrs{Pad: 1}},
		{"3x3 large enough to batch", [4]int{2, 2, 16, 16}, [4]int{3, 2, 3, 3}, ConvAttrs{Pad: 1}},
		{"3x3 unpadded", [4]int{1, 2, 5, 6}, [4]int{3, 2, 3, 3}, ConvAttrs{}},
		{"3x3 stride 2", [4]int{2, 16, 8, 8}, [4]int{16, 16, 3, 3}, ConvAttrs{Stride: 2, Pad: 1}},
		{"3x3 stride 2, odd image", [4]int{2, 2, 7, 9}, [4]int{3, 2, 3, 3}, ConvAttrs{Stride: 2, Pad: 1}},
		{"1x1", [4]int{2, 3, 4, 4}, [4]int{5, 3, 1, 1}, ConvAttrs{}},
		{"1x1 in blocks", [4]int{2, 16, 4, 4}, [4]int{32, 16, 1, 1}, ConvAttrs{}},
		{"1x1 stride 2", [4]int{2, 16, 6, 6}, [4]int{16, 16, 1, 1}, ConvAttrs{Stride: 2}},
		{"1x1 stride 2, odd image", [4]int{2, 3, 5, 7}, [4]int{4, 3, 1, 1}, ConvAttrs{Stride: 2}},
		{"1x1 on one pixel", [4]int{2, 6, 1, 1}, [4]int{4, 6, 1, 1}, ConvAttrs{}},
		{"7x7 stride 2", [4]int{1, 3, 14, 14}, [4]int{16, 3, 7, 7}, ConvAttrs{Stride: 2, Pad: 3}},
		{"3x3 stride 2 stem in blocks", [4]int{1, 3, 8, 8}, [4]int{16, 3, 3, 3}, ConvAttrs{Stride: 2, Pad: 1}},
		{"patches", [4]int{2, 3, 8, 8}, [4]int{5, 3, 4, 4}, ConvAttrs{Stride: 4}},
		{"5x5 depthwise", [4]int{2, 16, 7, 7}, [4]int{16, 1, 5, 5}, ConvAttrs{Pad: 2, Group: 16}},
		{"7x7 depthwise", [4]int{2, 16, 9, 8}, [4]int{16, 1, 7, 7}, ConvAttrs{Pad: 3, Group: 16}},
		{"7x7 depthwise on three pixels", [4]int{2, 3, 3, 1}, [4]int{3, 1, 7, 7}, ConvAttrs{Pad: 3, Group: 3}},
		{"2x2 patches", [4]int{2, 3, 6, 4}, [4]int{5, 3, 2, 2}, ConvAttrs{Stride: 2}},
		{"2x2 stride 2, odd image", [4]int{2, 3, 7, 5}, [4]int{4, 3, 2, 2}, ConvAttrs{Stride: 2}},
		{"2x2 stride 2 in blocks, odd image", [4]int{1, 16, 3, 3}, [4]int{32, 16, 2, 2}, ConvAttrs{Stride: 2}},
		{"3x3 depthwise stride 2", [4]int{2, 16, 8, 8}, [4]int{16, 1, 3, 3}, ConvAttrs{Stride: 2, Pad: 1, Group: 16}},
		{"5x5 depthwise stride 2, odd image", [4]int{2, 3, 7, 7}, [4]int{3, 1, 5, 5}, ConvAttrs{Stride: 2, Pad: 2, Group: 3}},
		{"3x3 in two groups", [4]int{2, 4, 5, 5}, [4]int{6, 2, 3, 3}, ConvAttrs{Pad: 1, Group: 2}},
		{"3x3 in two groups, stride 2", [4]int{2, 4, 6, 6}, [4]int{6, 2, 3, 3}, ConvAttrs{Stride: 2, Pad: 1, Group: 2}},
	}
	var out []Sample
	for _, c := range cases {
		out = append(out, Sample{Name: c.name, In: []Spec{f32(Normal, c.x[:]...), f32(Normal, c.w[:]...)},
			Build: one(func(g *Graph, in []Value) Value { return build(g, in[0], in[1], c.a) })})
	}
	return out
}

// convGradInputOp is ConvGradInput(dy, w): the gradient of the image, which is
// the transposed convolution.
func convGradInputOp() Op {
	return Op{Name: "ConvGradInput",
		Infer: func(in []Type, attr any) ([]Type, error) { return convGradInfer(in, attr, true) },
		Gradient: func(g *Graph, n Node, u []Value, need []bool) []Value {
			dy, w, a := n.In[0], n.In[1], n.Attr.(ConvGradAttrs).ConvAttrs
			out := []Value{None, None}
			if need[0] {
				out[0] = g.Conv(u[0], w, a)
			}
			if need[1] {
				out[1] = g.add1("ConvGradWeight", ConvGradAttrs{a, g.Shape(w)}, u[0], dy)
			}
			return out
		},
		Samples: convSamples(func(g *Graph, x, w Value, a ConvAttrs) Value {
			dy := g.Conv(x, w, a)
			return g.add1("ConvGradInput", ConvGradAttrs{a.normal(), g.Shape(x)}, dy, w)
		}),
	}
}

// convGradWeightOp is ConvGradWeight(x, dy): the gradient of the weight.
func convGradWeightOp() Op {
	return Op{Name: "ConvGradWeight",
		Infer: func(in []Type, attr any) ([]Type, error) { return convGradInfer(in, attr, false) },
		Gradient: func(g *Graph, n Node, u []Value, need []bool) []Value {
			x, dy, a := n.In[0], n.In[1], n.Attr.(ConvGradAttrs).ConvAttrs
			out := []Value{None, None}
			if need[0] {
				out[0] = g.add1("ConvGradInput", ConvGradAttrs{a, g.Shape(x)}, dy, u[0])
			}
			if need[1] {
				out[1] = g.Conv(x, u[0], a)
			}
			return out
		},
		Samples: convSamples(func(g *Graph, x, w Value, a ConvAttrs) Value {
			dy := g.Conv(x, w, a)
			return g.add1("ConvGradWeight", ConvGradAttrs{a.normal(), g.Shape(w)}, x, dy)
		}),
	}
}

// Conv correlates images x [N, C, H, W] with w [K, C/Group, R, S], giving
// [N, K, (H+2*Pad-R)/Stride+1, (W+2*Pad-S)/Stride+1]. A bias is added with
// AddChannels.
func (g *Graph) Conv(x, w Value, a ConvAttrs) Value { return g.add1("Conv", a.normal(), x, w) }

// AddChannels adds b [C] to each pixel of x [N, C, H, W].
func (g *Graph) AddChannels(x, b Value) Value { return g.Add(x, g.Reshape(b, 1, -1, 1, 1)) }
