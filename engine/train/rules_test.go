package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/optim"
)

// reference is a scenario of testdata/rules.json, which rules.py wrote.
type reference struct {
	Losses  []float64         `json:"losses"`
	Tensors map[string]digest `json:"tensors"`
	EMA     map[string]digest `json:"ema"`
}

type digest struct {
	First   []float64 `json:"first"`
	Sum     float64   `json:"sum"`
	Squares float64   `json:"squares"`
}

// Remainder batch, running statistics, clipping, accumulation, smoothing,
// moving average and the optimizers, each by PyTorch's rule.
func TestRulesArePyTorchs(t *testing.T) {
	text, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var references map[string]reference
	if err := json.Unmarshal(text, &references); err != nil {
		t.Fatal(err)
	}
	sgd := func(c *Config) {
		c.Optimizer = optim.Config{Type: "sgd", Momentum: 0.9, WeightDecay: 0.01, Nesterov: true}
		c.Schedule.LearningRate = 5e-3
	}
	adam := func(name string, decay float64) func(*Config) {
		return func(c *Config) {
			c.Optimizer = optim.Default(name)
			c.Optimizer.WeightDecay = decay
		}
	}
	scenarios := map[string]func(*Config){
		"adamw":      adam("adamw", 0.05),
		"adam":       adam("adam", 0.01),
		"sgd":        sgd,
		"clip":       func(c *Config) { sgd(c); c.ClipNorm = 0.5 },
		"accumulate": func(c *Config) { sgd(c); c.Accumulate = 2 },
		"smoothing":  func(c *Config) { sgd(c); c.LabelSmoothing = 0.2 },
		"ema":        func(c *Config) { sgd(c); c.EMADecay = 0.8 },
		"all": func(c *Config) {
			adam("adamw", 0.05)(c)
			c.ClipNorm, c.Accumulate, c.LabelSmoothing, c.EMADecay = 0.5, 2, 0.1, 0.8
		},
	}
	for name, want := range references {
		t.Run(name, func(t *testing.T) {
			cfg := small(t)
			cfg.Val = nil
			cfg.Schedule.Type, cfg.Schedule.LearningRate = "none", 1e-3
			scenarios[name](&cfg)
			checkScenario(t, cfg, want)
		})
	}
}

func checkScenario(t *testing.T, cfg Config, want reference) {
	tr, err := newTrainer(cfg, (&eventLog{}).observe)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if _, err := tr.begin(); err != nil {
		t.Fatal(err)
	}
	for _, name := range tr.model {
		formula(name, tr.tensors.pairs[name].shape, values(t, tr, name))
	}
	number := 0
	for range 2 {
		tr.state.Position = 0
		for _, size := range []int{8, 8, 5} {
			before := tr.state.Sums.Loss
			at := tr.feeder.places[size][number%2]
			if err := tr.feeder.put(context.Background(), at, formulaBatch(number, size, tr.state.Position)); err != nil {
				t.Fatal(err)
			}
			if err := tr.step(context.Background(), at); err != nil {
				t.Fatal(err)
			}
			near(t, "loss", (tr.state.Sums.Loss-before)/float64(size), want.Losses[number])
			number++
		}
	}
	for name, d := range want.Tensors {
		compare(t, name, values(t, tr, name), d)
	}
	for name, d := range want.EMA {
		compare(t, optim.EMAName(name), values(t, tr, optim.EMAName(name)), d)
	}
}

func compare(t *testing.T, name string, got []float32, want digest) {
	t.Helper()
	if len(got) < len(want.First) {
		t.Errorf("%s has %d elements", name, len(got))
		return
	}
	var sum, squares float64
	for _, v := range got {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	for i, v := range want.First {
		near(t, name, float64(got[i]), v)
	}
	near(t, name+" (sum)", sum/float64(len(got)), want.Sum/float64(len(got)))
	near(t, name+" (norm)", math.Sqrt(squares), math.Sqrt(want.Squares))
}

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 5e-4*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %.7g, PyTorch says %.7g", name, got, want)
	}
}

// formula is fill of rules.py.
func formula(name string, shape []int, out []float32) {
	fan := 1
	for _, d := range shape[1:] {
		fan *= d
	}
	for i := range out {
		wave := math.Sin(float64(i)*0.7 + float64(len(name)))
		switch {
		case strings.HasSuffix(name, "running_mean"):
			wave *= 0.1
		case strings.HasSuffix(name, "running_var"):
			wave = 1 + 0.5*wave
		case strings.Contains(name, "bn") && strings.HasSuffix(name, "weight"):
			wave = 1 + 0.2*wave
		case strings.HasSuffix(name, "bias"):
			wave *= 0.1
		default:
			wave *= math.Sqrt(2 / float64(fan))
		}
		out[i] = float32(wave)
	}
}

// formulaBatch is batch of rules.py.
func formulaBatch(number, size, position int) *data.Batch {
	b := &data.Batch{Images: make([]byte, size*16*16*3), Position: position + size}
	for i := range b.Images {
		b.Images[i] = byte((i*7919 + number*104729 + (i/768)*(i%97)) % 256)
	}
	for i := range size {
		b.Labels = append(b.Labels, int64((i+number)%3))
	}
	return b
}
