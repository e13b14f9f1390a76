package lower_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/zoo"
)

// stepGraph is a whole training step of a model of the zoo.
func stepGraph(t *testing.T, name string, batch, size int) *graph.Graph {
	t.Helper()
	g := graph.New("train")
	images := g.Input("images", graph.Uint8, batch, size, size, 3)
	labels := g.Input("labels", graph.Int64, batch)
	m, err := zoo.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	built, err := m.Build(g, nn.Normalize(g, images, m.Mean, m.Std), zoo.Options{NumClasses: 10, Training: true})
	if err != nil {
		t.Fatal(err)
	}
	loss := nn.CrossEntropy(g, built.Logits, labels, 0.1)
	g.Output("loss", loss)
	var wrt []graph.Value
	for _, p := range g.Trainable() {
		wrt = append(wrt, p.Value)
	}
	grads, err := autodiff.Gradients(g, loss, wrt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := optim.Update(g, optim.Default("adamw"), g.Trainable(), grads); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestZooSteps(t *testing.T) {
	for _, m := range zoo.All {
		t.Run(m.Name, func(t *testing.T) {
			g := stepGraph(t, m.Name, 2, 64)
			for _, p := range []lower.Precision{lower.Float32, lower.Float16, lower.BFloat16} {
				onCUDA, err := lower.Model(g, lower.CUDA, lower.Options{Precision: p})
				if err != nil {
					t.Fatal(err)
				}
				if err := lower.CheckCUDA(onCUDA); err != nil {
					t.Errorf("%s: %v", p, err)
				}
			}
			onCPU, err := lower.Model(g, lower.CPU, lower.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range onCPU.GetGraph().GetNode() {
				if strings.Contains(n.GetOpType(), "Random") || n.GetOpType() == "Dropout" {
					t.Errorf("the step has a random op: %s", n.GetOpType())
				}
			}
			rt := openORT(t)
			raw, err := onnx.Marshal(onCPU)
			if err != nil {
				t.Fatal(err)
			}
			s, err := rt.NewSession(raw, ort.Options{IntraThreads: 1, Optimization: ort.OptBasic})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		})
	}
}

func TestReducedPrecision(t *testing.T) {
	g := stepGraph(t, "convnet", 2, 32)
	for _, p := range []lower.Precision{lower.Float16, lower.BFloat16, "int8"} {
		if lower.ReducedPrecision(lower.CPU, p) {
			t.Errorf("the cpu provider claims %s", p)
		}
		if _, err := lower.Model(g, lower.CPU, lower.Options{Precision: p}); err == nil {
			t.Errorf("the cpu provider took %s", p)
		}
	}
	m, err := lower.Model(g, lower.CUDA, lower.Options{Precision: lower.Float16})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int32{}
	for _, v := range m.GetGraph().GetValueInfo() {
		types[v.GetName()] = v.GetType().GetTensorType().GetElemType()
	}
	convs := 0
	for _, n := range m.GetGraph().GetNode() {
		if n.GetOpType() == "Conv" {
			convs++
			if types[n.GetInput()[0]] != int32(onnx.TensorProto_FLOAT16) {
				t.Errorf("%s does not compute in float16", n.GetName())
			}
		}
	}
	if convs == 0 {
		t.Error("the step has no convolution")
	}
	for _, o := range m.GetGraph().GetOutput() {
		if e := o.GetType().GetTensorType().GetElemType(); e != int32(onnx.TensorProto_FLOAT) {
			t.Errorf("output %s is of type %d, not float32", o.GetName(), e)
		}
	}
}

func TestModelKeepsItsPromises(t *testing.T) {
	build := func() *graph.Graph {
		g := graph.New("g")
		x := g.Input("x", graph.Float32, 2)
		g.Input("unused", graph.Int64, 3)
		w, s := g.Param("w", 2), g.State("s", graph.Float32, 2)
		g.Exp(x) // reaches no output
		y := g.Add(g.Mul(x, g.ConstF(2)), g.Mul(w, g.ConstF(2)))
		g.Output("y", y)
		g.Output("again", y)
		g.Output("same", x)
		g.Assign(w, y)
		g.Assign(s, s)
		return g
	}
	m, err := lower.Model(build(), lower.CPU, lower.Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []*onnx.ValueInfoProto) string {
		var out []string
		for _, v := range list {
			out = append(out, v.GetName())
		}
		return strings.Join(out, " ")
	}
	gp := m.GetGraph()
	if got := names(gp.Input); got != "x unused w s" {
		t.Errorf("inputs are %s", got)
	}
	if got := names(gp.Output); got != "y again same out/w out/s" {
		t.Errorf("outputs are %s", got)
	}
	if len(gp.Initializer) != 1 {
		t.Errorf("equal constants are not shared: %d", len(gp.Initializer))
	}
	for _, n := range gp.Node {
		if n.GetOpType() == "Exp" {
			t.Error("dead code was lowered")
		}
	}
	again, err := lower.Model(build(), lower.CPU, lower.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := onnx.Marshal(m)
	b, _ := onnx.Marshal(again)
	if !bytes.Equal(a, b) {
		t.Error("the same graph was lowered to other bytes")
	}
}

func TestCheckCUDANamesTheNode(t *testing.T) {
	g := graph.New("g")
	g.SetScope("pool")
	x := g.Param("x", 1, 1, 4, 4)
	loss := g.Mean(g.MaxPool(x, graph.PoolAttrs{Kernel: 2}))
	d, err := autodiff.Gradients(g, loss, []graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("d", d[0])
	m, err := lower.Model(g, lower.CPU, lower.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lower.CheckCUDA(m); err == nil || !strings.Contains(err.Error(), "grad/pool/MaxUnpool") {
		t.Errorf("got %v", err)
	}
	g = graph.New("g")
	g.Output("y", g.Neg(g.Cast(g.Greater(g.Cast(g.Input("x", graph.Uint8, 3), graph.Uint8), g.Input("z", graph.Uint8, 3)), graph.Float32)))
	if m, err = lower.Model(g, lower.CUDA, lower.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := lower.CheckCUDA(m); err == nil || !strings.Contains(err.Error(), "Greater with input 0 of type UINT8") {
		t.Errorf("got %v", err)
	}
}
