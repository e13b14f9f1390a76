package zoo_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/internal/steptest"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/lower/layout"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/zoo"
)

// The recipe of testdata/make_reference.py.
const (
	classes   = 10
	imageSize = 48
	batchSize = 8
	batches   = 4
)

// draw returns n numbers in [-1, 1): splitmix64 over fnv1a(name) + i.
func draw(name string, n int) []float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	seed := h.Sum64()
	out := make([]float64, n)
	for i := range out {
		z := seed + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = float64(z>>40)*0x1p-23 - 1
	}
	return out
}

func weight(p nn.Init) []float32 {
	scale, shift := 0.1, 0.0
	switch {
	case p.Name == "cls_token" || p.Name == "pos_embed":
		scale = 0.02
	case len(p.Shape) == 4:
		scale = math.Sqrt(6 / float64(p.Size()/p.Shape[0]))
	case len(p.Shape) >= 2:
		scale = math.Sqrt(3 / float64(p.Size()/p.Shape[0]))
	case strings.HasSuffix(p.Name, ".running_mean"):
	case strings.HasSuffix(p.Name, ".running_var"):
		scale, shift = 0.3, 1
	case strings.HasSuffix(p.Name, ".weight"):
		shift = 1
	}
	out := make([]float32, p.Size())
	for i, u := range draw(p.Name, p.Size()) {
		out[i] = float32(shift + scale*u)
	}
	return out
}

func recipe(b zoo.Built) map[string][]float32 {
	values := map[string][]float32{}
	for _, p := range b.Init {
		values[p.Name] = weight(p)
	}
	return values
}

func images(b, n int) []float32 {
	out := make([]float32, n*3*imageSize*imageSize)
	for i, u := range draw(fmt.Sprintf("x%d", b), len(out)) {
		out[i] = float32(1.7 * u)
	}
	return out
}

func labels(b, n int) []int64 {
	out := make([]int64, n)
	for i, u := range draw(fmt.Sprintf("y%d", b), n) {
		out[i] = int64((u + 1) / 2 * classes)
	}
	return out
}

func reference(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// The logits of timm in evaluation mode, for two images.
func TestForwardFollowsTimm(t *testing.T) {
	var want map[string][]float32
	reference(t, "forward.json", &want)
	for _, m := range zoo.All {
		t.Run(m.Name, func(t *testing.T) {
			g, b := build(t, m.Name, imageSize, zoo.Options{NumClasses: classes})
			g.Output("logits", b.Logits)
			s := steptest.New(t, g, recipe(b), lower.Options{})
			s.Run(t, map[string]any{"x": images(0, 2)})
			got := s.Output(t, "logits")
			worst, scale := 0.0, 0.0
			for i, w := range want[m.Name] {
				worst = math.Max(worst, math.Abs(float64(got[i]-w)))
				scale = math.Max(scale, math.Abs(float64(w)))
			}
			if len(want[m.Name]) != 2*classes || !(worst <= 2e-5*math.Max(1, scale)) {
				t.Errorf("logits differ by %.1e of %.1f:\n%v, timm has\n%v", worst, scale, got, want[m.Name])
			}
		})
	}
}

// trainingStep is the whole step of a model in one graph.
func trainingStep(t *testing.T, model string, size, batch int, c optim.Config, smoothing float64) (*graph.Graph, zoo.Built) {
	t.Helper()
	g := graph.New(model)
	b, err := zoo.Build(g, model, g.Input("x", graph.Float32, batch, 3, size, size), zoo.Options{NumClasses: classes, Training: true})
	if err != nil {
		t.Fatal(err)
	}
	loss := nn.CrossEntropy(g, b.Logits, g.Input("y", graph.Int64, batch), smoothing)
	params := g.Trainable()
	wrt := make([]graph.Value, len(params))
	for i, p := range params {
		wrt[i] = p.Value
	}
	grads, err := autodiff.Gradients(g, loss, wrt)
	if err != nil {
		t.Fatal(err)
	}
	g.Output("loss", loss)
	if _, err := optim.Update(g, c, params, grads); err != nil {
		t.Fatal(err)
	}
	return g, b
}

func config(name string) optim.Config {
	c := optim.Default(name)
	switch name {
	case "sgd":
		c.WeightDecay = 1e-4
	case "adamw":
		c.WeightDecay = 0.05
	}
	return c
}

// Twenty losses of PyTorch from the same weights and batches.
func TestTrajectoriesFollowTorch(t *testing.T) {
	var cases []struct {
		Model, Optimizer string
		LR, Smoothing    float64
		Losses           []float64
	}
	reference(t, "trajectories.json", &cases)
	for i, c := range cases {
		if testing.Short() && i != 0 && i%4 != 1 {
			continue // one optimizer a model, another for each; make test-parity runs all
		}
		t.Run(c.Model+"/"+c.Optimizer, func(t *testing.T) {
			g, b := trainingStep(t, c.Model, imageSize, batchSize, config(c.Optimizer), c.Smoothing)
			s := steptest.New(t, g, recipe(b), lower.Options{Block: layout.Block(t.Context(), steptest.Runtime(t))}) // as training does
			worst := 0.0
			for step, want := range c.Losses {
				in := map[string]any{"x": images(step%batches, batchSize), "y": labels(step%batches, batchSize)}
				for _, v := range config(c.Optimizer).Scalars(c.LR, int64(step+1)) {
					in[v.Name] = v.Value
				}
				s.Run(t, in)
				got := float64(s.Output(t, "loss")[0])
				worst = math.Max(worst, math.Abs(got-want))
				if !(math.Abs(got-want) <= 2e-3) {
					t.Fatalf("step %d: loss %v, torch has %v", step+1, got, want)
				}
			}
			t.Logf("largest difference of %d losses: %.1e", len(c.Losses), worst)
		})
	}
}

// Every model's step with every optimizer must run wholly on the CUDA provider.
func TestStepsRunOnCUDA(t *testing.T) {
	for _, m := range zoo.All {
		for _, o := range optim.Names() {
			g, _ := trainingStep(t, m.Name, m.DefaultImageSize, 2, config(o), 0.1)
			for _, p := range []lower.Precision{lower.Float32, lower.Float16, lower.BFloat16} {
				model, err := lower.Model(g, lower.CUDA, lower.Options{Precision: p})
				if err == nil {
					err = lower.CheckCUDA(model)
				}
				if err != nil {
					t.Errorf("%s with %s in %s: %v", m.Name, o, p, err)
				}
			}
		}
	}
}
