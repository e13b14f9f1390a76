package nn_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/internal/steptest"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/nn"
)

// torch.nn.BatchNorm2d(2) in training mode, three times on the same batch
// [2, 2, 1, 2]: the running mean is 0.9 running + 0.1 batch, the running
// variance the same with the batch's unbiased variance; evaluation uses them.
func TestBatchNormTracksAsTorch(t *testing.T) {
	x := []float32{1, 2, 10, 30, 3, 6, -10, 10} // channel 0: 1 2 3 6; channel 1: 10 30 -10 10
	net := func(training bool) (*graph.Graph, []nn.Init) {
		n := &nn.Net{G: graph.New("bn"), Training: training}
		n.G.Output("y", n.BatchNorm("bn", n.G.Input("x", graph.Float32, 2, 2, 1, 2), 1))
		return n.G, n.Init
	}
	g, inits := net(true)
	s := steptest.New(t, g, nn.Values(inits, 1), lower.Options{})
	mean, variance := []float64{0, 0}, []float64{1, 1}
	for range 3 {
		s.Run(t, map[string]any{"x": x})
		for c, batch := range []struct{ mean, unbiased float64 }{{3, 14.0 / 3}, {10, 800.0 / 3}} {
			mean[c] = 0.9*mean[c] + 0.1*batch.mean
			variance[c] = 0.9*variance[c] + 0.1*batch.unbiased
		}
	}
	state := map[string][]float32{}
	for _, i := range inits {
		state[i.Name] = s.Value(t, i.Name)
	}
	for c := range 2 {
		if got := float64(state["bn.running_mean"][c]); math.Abs(got-mean[c]) > 1e-5 {
			t.Errorf("running mean %d is %v, torch has %v", c, got, mean[c])
		}
		if got := float64(state["bn.running_var"][c]); math.Abs(got-variance[c]) > 1e-5*variance[c] {
			t.Errorf("running variance %d is %v, torch has %v", c, got, variance[c])
		}
	}
	// The biased variance of channel 0 is 3.5.
	if got, want := float64(s.Output(t, "y")[0]), (1-3)/math.Sqrt(3.5+1e-5); math.Abs(got-want) > 1e-5 {
		t.Errorf("training output %v, want %v", got, want)
	}
	g, _ = net(false)
	e := steptest.New(t, g, state, lower.Options{})
	e.Run(t, map[string]any{"x": x})
	if got, want := float64(e.Output(t, "y")[0]), (1-mean[0])/math.Sqrt(variance[0]+1e-5); math.Abs(got-want) > 1e-5 {
		t.Errorf("evaluation output %v, want %v", got, want)
	}
}

func TestNormalize(t *testing.T) {
	g := graph.New("normalize")
	mean, std := [3]float32{0.5, 0.4, 0.3}, [3]float32{0.5, 0.2, 0.1}
	pixels := g.Const(graph.Tensor{Type: graph.Type{DType: graph.Uint8, Shape: []int{1, 1, 2, 3}}, Raw: []byte{0, 51, 255, 255, 102, 0}})
	g.Output("y", nn.Normalize(g, pixels, mean, std))
	s := steptest.New(t, g, nil, lower.Options{})
	s.Run(t, nil)
	want := []float32{-1, 1, -1, 0, 7, -3} // channel by channel
	for i, got := range s.Output(t, "y") {
		if math.Abs(float64(got-want[i])) > 1e-5 {
			t.Errorf("element %d is %v, want %v", i, got, want[i])
		}
	}
}

// The definition of torch.nn.functional.cross_entropy(label_smoothing=0.1), in
// float64.
func TestCrossEntropySmoothing(t *testing.T) {
	logits, labels := []float32{2, 0, -1, 0, 3, 1}, []int64{0, 2}
	g := graph.New("loss")
	g.Output("loss", nn.CrossEntropy(g, g.Input("x", graph.Float32, 2, 3), g.Input("y", graph.Int64, 2), 0.1))
	s := steptest.New(t, g, nil, lower.Options{})
	s.Run(t, map[string]any{"x": logits, "y": labels})
	want := 0.0
	for n, label := range labels {
		sum := 0.0
		for k := range 3 {
			sum += math.Exp(float64(logits[3*n+k]))
		}
		for k := range 3 {
			target := 0.1 / 3
			if int64(k) == label {
				target += 0.9
			}
			want += target * (math.Log(sum) - float64(logits[3*n+k])) / 2
		}
	}
	if got := float64(s.Output(t, "loss")[0]); math.Abs(got-want) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
}

func TestInitialValues(t *testing.T) {
	inits := []nn.Init{
		{Name: "a", Shape: []int{100, 100}, Fill: nn.Normal(0.5)},
		{Name: "b", Shape: []int{100, 100}, Fill: nn.TorchDefault(25)},
		{Name: "c", Shape: []int{100, 100}, Fill: nn.TruncNormal(1, -0.5, 1)},
		{Name: "d", Shape: []int{64, 32, 3, 3}, Fill: nn.KaimingFanOut(64, 3)},
	}
	values := nn.Values(inits, 7)
	moments := func(name string) (mean, std, lo, hi float64) {
		lo, hi = math.Inf(1), math.Inf(-1)
		for _, v := range values[name] {
			mean += float64(v)
			std += float64(v) * float64(v)
			lo, hi = min(lo, float64(v)), max(hi, float64(v))
		}
		n := float64(len(values[name]))
		mean /= n
		return mean, math.Sqrt(std/n - mean*mean), lo, hi
	}
	if mean, std, _, _ := moments("a"); math.Abs(mean) > 0.02 || math.Abs(std-0.5) > 0.02 {
		t.Errorf("normal: mean %v, std %v", mean, std)
	}
	if _, std, lo, hi := moments("b"); lo < -0.2 || hi >= 0.2 || math.Abs(std-0.2/math.Sqrt(3)) > 0.005 {
		t.Errorf("uniform: std %v in [%v, %v]", std, lo, hi)
	}
	if _, _, lo, hi := moments("c"); lo < -0.5 || hi > 1 || lo > -0.45 || hi < 0.95 {
		t.Errorf("truncated normal in [%v, %v]", lo, hi)
	}
	if _, std, _, _ := moments("d"); math.Abs(std-math.Sqrt(2.0/(64*9))) > 0.001 {
		t.Errorf("kaiming: std %v", std)
	}

	// Neither the order of declaration nor other tensors may change a tensor.
	alone := nn.Values([]nn.Init{inits[2], inits[0]}, 7)
	if !reflect.DeepEqual(alone["a"], values["a"]) || !reflect.DeepEqual(alone["c"], values["c"]) {
		t.Error("initial values depend on what else is declared")
	}
	if reflect.DeepEqual(nn.Values(inits[:1], 8)["a"], values["a"]) {
		t.Error("another seed gives the same values")
	}
}
