package lower_test

import (
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/ort"
)

// blockNet has what a convolutional net puts together: a stem, a residual
// block with stride, a depthwise convolution, squeeze and excitation, and a
// channel count that fills no block.
var blockNet = graph.Sample{
	Name: "net",
	In: []graph.Spec{
		spec(4, 3, 17, 17), spec(16, 3, 3, 3), spec(32, 16, 3, 3), spec(32, 16, 1, 1), spec(32, 1, 5, 5),
		spec(8, 32, 1, 1), spec(32, 8, 1, 1), spec(24, 32, 1, 1), spec(32), spec(32),
	},
	Build: func(g *graph.Graph, in []graph.Value) []graph.Value {
		scale, bias := in[8], in[9]
		norm := func(x graph.Value) graph.Value {
			c := g.Dim(x, 1)
			y, _, _ := g.BatchNorm(x, g.Slice(scale, 0, 0, c), g.Slice(bias, 0, 0, c), 1e-3)
			return y
		}
		x := g.Relu(norm(g.Conv(in[0], in[1], graph.ConvAttrs{Pad: 1})))
		x = g.MaxPool(x, graph.PoolAttrs{Kernel: 3, Stride: 2, Pad: 1}) // 9x9
		short := norm(g.Conv(x, in[3], graph.ConvAttrs{Stride: 2}))
		x = norm(g.Conv(x, in[2], graph.ConvAttrs{Stride: 2, Pad: 1})) // 5x5
		x = g.Relu(g.Add(x, short))
		x = g.HardSwish(norm(g.Conv(x, in[4], graph.ConvAttrs{Pad: 2, Group: 32})))
		s := g.Conv(g.GlobalAvgPool(x), in[5], graph.ConvAttrs{})
		s = g.HardSigmoid(g.Conv(g.Relu(s), in[6], graph.ConvAttrs{}))
		x = g.Mul(x, s)
		x = norm(g.Conv(x, in[7], graph.ConvAttrs{}))
		return []graph.Value{g.GlobalAvgPool(x), g.ReduceMean(x, false, 0, 2, 3)}
	},
}

func spec(shape ...int) graph.Spec {
	return graph.Spec{Type: graph.Type{DType: graph.Float32, Shape: shape}}
}

// TestBlockedInference does the same with a net that is not trained.
func TestBlockedInference(t *testing.T) {
	rt := openORT(t)
	block := blockSize(t, rt)
	if block == 0 {
		t.Skip("needs a processor for which ONNX Runtime has a blocked layout")
	}
	s := graph.Sample{Name: "inference", In: []graph.Spec{spec(2, 3, 12, 12), spec(16, 3, 3, 3), spec(16, 16, 3, 3), spec(16), spec(16)},
		Build: func(g *graph.Graph, in []graph.Value) []graph.Value {
			norm := func(x graph.Value) graph.Value {
				return g.BatchNormInference(x, in[3], in[4], in[4], g.Square(in[3]), 1e-3)
			}
			x := g.MaxPool(g.Relu(norm(g.Conv(in[0], in[1], graph.ConvAttrs{Stride: 2, Pad: 1}))), graph.PoolAttrs{Kernel: 2})
			return []graph.Value{g.Relu(g.Add(norm(g.Conv(x, in[2], graph.ConvAttrs{Pad: 1})), x))}
		}}
	c := newCheck(t, s, false)
	var first map[string][]float64
	for _, o := range []lower.Options{{}, {Block: block}} {
		m, err := lower.Model(c.g, lower.CPU, o)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := onnx.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		session, err := rt.NewSession(raw, ort.Options{IntraThreads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		x := make([][]float64, len(c.specs))
		for i, spec := range c.specs {
			x[i] = data(spec, i)
		}
		got := c.run(t, session, rt, x)
		if first == nil {
			first = got
		}
		if d := distance(got["y0"], first["y0"]); d > 1e-4 {
			t.Errorf("in blocks the output differs by %.3g", d)
		}
	}
}

// TestBlockedNet compares a net in blocks with the same net in NCHW, forward
// and backward, and sees that blocks and fusion are really used.
func TestBlockedNet(t *testing.T) {
	rt := openORT(t)
	block := blockSize(t, rt)
	if block == 0 {
		t.Skip("needs a processor for which ONNX Runtime has a blocked layout")
	}
	c := newCheck(t, blockNet, true)
	x := make([][]float64, len(c.specs))
	for i, s := range c.specs {
		x[i] = data(s, i)
	}
	run := func(o lower.Options) (map[string][]float64, *onnx.ModelProto) {
		m, err := lower.Model(c.g, lower.CPU, o)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := onnx.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rt.NewSession(raw, ort.Options{IntraThreads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return c.run(t, s, rt, x), m
	}
	want, _ := run(lower.Options{})
	got, m := run(lower.Options{Block: block})
	for name, w := range want {
		if d := distance(got[name], w); d > 1e-3 {
			t.Errorf("%s differs by %.3g", name, d)
		}
	}
	convs, fused := 0, 0
	for _, n := range m.GetGraph().GetNode() {
		if n.GetDomain() == onnx.Internal && n.GetOpType() == "Conv" {
			convs++
			for _, a := range n.GetAttribute() {
				if a.GetName() == "activation" && len(n.GetInput()) == 4 {
					fused++
				}
			}
		}
	}
	if convs < 10 || fused != 1 {
		t.Errorf("%d blocked convolutions, %d with residual and Relu", convs, fused)
	}
}
