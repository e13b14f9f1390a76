package optim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/internal/steptest"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/optim"
)

// values repeats the recipe of testdata/make_reference.py.
func values(step int, name string, n int) []float32 {
	h := 1000 * step
	for _, c := range []byte(name) {
		h += int(c)
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(float64((h*7919+i*104729)%2003)/1001.5 - 1)
	}
	return out
}

var tensors = []struct {
	name  string
	shape []int
}{{"a.weight", []int{3, 4}}, {"a.bias", []int{3}}}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// gradientInputs makes a graph with the test's parameters, whose gradients are
// fed as inputs.
func gradientInputs() (*graph.Graph, []graph.Named, []graph.Value, map[string][]float32) {
	g := graph.New("optim")
	var params []graph.Named
	var grads []graph.Value
	initial := map[string][]float32{}
	for _, p := range tensors {
		params = append(params, graph.Named{Name: p.name, Value: g.Param(p.name, p.shape...)})
		grads = append(grads, g.Input("grad/"+p.name, graph.Float32, p.shape...))
		initial[p.name] = values(0, p.name, size(p.shape))
	}
	return g, params, grads, initial
}

func gradients(step int) map[string]any {
	in := map[string]any{}
	for _, p := range tensors {
		in["grad/"+p.name] = values(step, p.name, size(p.shape))
	}
	return in
}

func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

// testdata/optimizers.json holds five steps of torch.optim, with and without
// torch.nn.utils.clip_grad_norm_.
func TestUpdatesFollowTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/optimizers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Type string
		Config     json.RawMessage
		Clip       float64
		Norms      []float32
		Params     map[string][]float32
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s clip %v", c.Name, c.Clip), func(t *testing.T) {
			config := optim.Config{Type: c.Type, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
			if err := json.Unmarshal(c.Config, &config); err != nil {
				t.Fatal(err)
			}
			g, params, grads, initial := gradientInputs()
			if c.Clip > 0 {
				var norm graph.Value
				grads, norm = optim.Clip(g, grads, c.Clip)
				g.Output("norm", norm)
			}
			if _, err := optim.Update(g, config, params, grads); err != nil {
				t.Fatal(err)
			}
			s := steptest.New(t, g, initial, lower.Options{})
			for step := 1; step <= 5; step++ {
				in := gradients(step)
				for _, v := range config.Scalars(0.1/float64(step), int64(step)) {
					in[v.Name] = v.Value
				}
				s.Run(t, in)
				if c.Clip > 0 {
					near(t, "norm", s.Output(t, "norm"), c.Norms[step-1:step], 1e-6)
				}
			}
			for name, want := range c.Params {
				near(t, name, s.Value(t, name), want, 1e-6)
			}
		})
	}
}

// A window of three batches of 4, 4 and 2 samples must update with the mean
// over its 10 samples, and the next window must start from nothing.
func TestAccumulation(t *testing.T) {
	micro, params, grads, initial := gradientInputs()
	optim.Accumulate(micro, params, grads, micro.Input("samples", graph.Float32))
	last, lastParams, grads, _ := gradientInputs()
	mean := optim.Drain(last, lastParams, grads, last.Input("samples", graph.Float32), last.Input("total", graph.Float32))
	for i, p := range lastParams {
		last.Output("mean/"+p.Name, mean[i])
	}
	a, b := steptest.New(t, micro, initial, lower.Options{}), steptest.New(t, last, initial, lower.Options{})
	run := func(s *steptest.Step, step int, samples, total float32) {
		in := gradients(step)
		in["samples"] = samples
		if total > 0 {
			in["total"] = total
		}
		s.Run(t, in)
	}
	run(a, 1, 4, 0)
	run(a, 2, 4, 0)
	for _, p := range tensors {
		got := a.Value(t, optim.AccumulatorName(p.name))
		g1, g2 := values(1, p.name, size(p.shape)), values(2, p.name, size(p.shape))
		want := make([]float32, len(g1))
		for i := range want {
			want[i] = 4*g1[i] + 4*g2[i]
		}
		near(t, "sum of "+p.name, got, want, 1e-6)
	}
	b.Set(t, sums(t, a))
	run(b, 3, 2, 10)
	for _, p := range tensors {
		g1, g2, g3 := values(1, p.name, size(p.shape)), values(2, p.name, size(p.shape)), values(3, p.name, size(p.shape))
		want := make([]float32, len(g1))
		for i := range want {
			want[i] = (4*g1[i] + 4*g2[i] + 2*g3[i]) / 10
		}
		near(t, "mean of "+p.name, b.Output(t, "mean/"+p.name), want, 1e-6)
		near(t, "sum after "+p.name, b.Value(t, optim.AccumulatorName(p.name)), make([]float32, len(want)), 0)
	}
}

func sums(t *testing.T, s *steptest.Step) map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range tensors {
		out[optim.AccumulatorName(p.name)] = s.Value(t, optim.AccumulatorName(p.name))
	}
	return out
}

// torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(0.9): the first
// update copies, later ones mix.
func TestEMAFollowsTorch(t *testing.T) {
	g := graph.New("ema")
	w := graph.Named{Name: "w", Value: g.Param("w", 2)}
	next := g.Add(w.Value, g.ConstF(1))
	g.Assign(w.Value, next)
	optim.EMA(g, g.Input("ema_decay", graph.Float32), []graph.Named{w}, []graph.Value{next})
	s := steptest.New(t, g, map[string][]float32{"w": {0, 10}, optim.EMAName("w"): {7, 7}}, lower.Options{})
	average := 0.0
	for step := 1; step <= 5; step++ {
		s.Run(t, map[string]any{"ema_decay": optim.EMADecay(0.9, int64(step))})
		if step == 1 {
			average = 1
		} else {
			average = 0.9*average + 0.1*float64(step)
		}
	}
	near(t, "average", s.Value(t, optim.EMAName("w")), []float32{float32(average), float32(average + 10)}, 1e-5)
}

func TestConfigCheck(t *testing.T) {
	for want, c := range map[string]optim.Config{
		"unknown optimizer": {Type: "lion"},
		"momentum":          {Type: "sgd", Momentum: 1},
		"nesterov":          {Type: "sgd", Nesterov: true},
		"beta2":             {Type: "adam", Beta1: 0.9, Beta2: 1},
		"weight_decay":      {Type: "adamw", WeightDecay: math.NaN()},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	for _, name := range optim.Names() {
		if err := optim.Default(name).Check(); err != nil {
			t.Error(err)
		}
	}
}
