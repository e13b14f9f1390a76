package train

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDivergenceIsAnErrorAndLeavesNoBadCheckpoint(t *testing.T) {
	cfg := small(t)
	cfg.Optimizer.Type, cfg.Optimizer.Momentum = "sgd", 0.9
	cfg.Schedule.LearningRate, cfg.Epochs = 1e30, 5
	_, err := Run(context.Background(), cfg, (&eventLog{}).observe)
	if !errors.Is(err, ErrNaN) || !strings.Contains(err.Error(), "learning_rate") {
		t.Fatalf("got %v, want ErrNaN with advice", err)
	}
}

func TestARemainderOfOneUnderBatchNormIsLeftOutAndSaid(t *testing.T) {
	cfg := small(t)
	cfg.Train, cfg.Epochs = cfg.Train[:17], 1
	r, l := run(t, cfg)
	if r.GlobalStep != 2 {
		t.Errorf("%d steps on 17 images in batches of 8, want 2", r.GlobalStep)
	}
	found := false
	for _, m := range of[Message](l) {
		found = found || strings.Contains(m.Text, "single image")
	}
	if !found {
		t.Error("nobody was told")
	}
}

func TestFrozenParametersStay(t *testing.T) {
	cfg := small(t)
	cfg.Model.Freeze, cfg.Epochs, cfg.EMADecay = []string{"stages.*"}, 1, 0.9
	cfg.Optimizer.WeightDecay = 0.5
	tr, err := newTrainer(cfg, (&eventLog{}).observe)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if _, err := tr.begin(); err != nil {
		t.Fatal(err)
	}
	frozen := slices.Clone(values(t, tr, "stages.0.conv1.weight"))
	mean := slices.Clone(values(t, tr, "stages.0.bn1.running_mean"))
	head := slices.Clone(values(t, tr, "fc.weight"))
	if err := tr.epoch(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !equal(frozen, values(t, tr, "stages.0.conv1.weight")) {
		t.Error("a frozen weight moved")
	}
	if equal(head, values(t, tr, "fc.weight")) || equal(mean, values(t, tr, "stages.0.bn1.running_mean")) {
		t.Error("the head or the running statistics stood still")
	}
	if a := tr.applied(); len(a.Frozen) != 18 || a.Parameters != 3*128+3 {
		t.Errorf("%d frozen, %d trainable numbers", len(a.Frozen), a.Parameters)
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestRetentionKeepsWhatThePolicySays(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 5
	cfg.Checkpoints.Policy.KeepEvery = 2
	r, _ := run(t, cfg)
	entries, err := os.ReadDir(cfg.Checkpoints.Dir)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	for _, name := range []string{"epoch_2", "epoch_4", "epoch_5", "latest", "best", r.Best.Name} {
		if !have[name] {
			t.Errorf("%s is missing; there are %v", name, have)
		}
	}
	if len(have) > 6 {
		t.Errorf("kept %v", have)
	}
}

func TestMonitorDecidesWhatIsBest(t *testing.T) {
	nan := Best{Metrics: map[string]float64{}}
	old := Best{Metrics: map[string]float64{"loss": 0.5, "accuracy": 0.5}}
	for _, c := range []struct {
		value    float64
		best     *Best
		metric   string
		minimize bool
		want     bool
	}{
		{0.6, &old, "accuracy", false, true},
		{0.5, &old, "accuracy", false, false}, // strict
		{0.4, &old, "loss", true, true},
		{0.6, &old, "loss", true, false},
		{0.1, nil, "accuracy", false, true},
		{0.1, &nan, "accuracy", false, true},
	} {
		if got := better(c.value, c.best, c.metric, c.minimize); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	if zero := 0.0; better(zero/zero, nil, "loss", true) {
		t.Error("a NaN became the best")
	}
}

func TestWithoutValidationTheLastEpochIsBest(t *testing.T) {
	cfg := small(t)
	cfg.Val = nil
	r, l := run(t, cfg)
	if r.Best.Epoch != 2 || r.Model == "" || len(of[Validation](l)) != 0 {
		t.Errorf("best is epoch %d, model %q, %d validations", r.Best.Epoch, r.Model, len(of[Validation](l)))
	}
}

func TestAnObserversErrorEndsTheTraining(t *testing.T) {
	cfg := small(t)
	boom := errors.New("spool is full")
	_, err := Run(context.Background(), cfg, func(e Event) error {
		if _, ok := e.(Validation); ok {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestConfigMistakesAreErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"unknown model": func(c *Config) { c.Model.Name = "resnet19" },
		"two classes":   func(c *Config) { c.Model.Classes = []string{"one"} },
		"epochs":        func(c *Config) { c.Epochs = 0 },
		"batch_size":    func(c *Config) { c.BatchSize = -1 },
		"monitor":       func(c *Config) { c.Monitor = "happiness" },
		"label":         func(c *Config) { c.Model.Classes = classNames[:2] },
		"ema_decay":     func(c *Config) { c.EMADecay = 1 },
		"device":        func(c *Config) { c.Device = "tpu" },
		"cuda:N":        func(c *Config) { c.Device = "cuda:first" },
		"at least 8":    func(c *Config) { c.Model.ImageSize = 4 },
	} {
		cfg := small(t)
		change(&cfg)
		if _, err := Run(context.Background(), cfg, (&eventLog{}).observe); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestCUDAWithoutItsProviderSaysWhatToDo(t *testing.T) {
	if needRuntime(t).HasCUDA() {
		t.Skip("needs an ONNX Runtime library without the CUDA provider")
	}
	cfg := small(t)
	cfg.Device = "cuda:1"
	if _, err := Run(context.Background(), cfg, (&eventLog{}).observe); err == nil || !strings.Contains(err.Error(), "RUNNER_ORT_LIB") {
		t.Errorf("got %v", err)
	}
}

func TestTimeBringsCheckpointsWithinAnEpoch(t *testing.T) {
	cfg := small(t)
	cfg.Epochs, cfg.Checkpoints.Interval = 1, time.Nanosecond
	_, l := run(t, cfg)
	var names []string
	for _, s := range of[Saved](l) {
		names = append(names, s.Checkpoint.Name)
	}
	if want := []string{"step_1", "step_2", "epoch_1"}; !slices.Equal(names, want) {
		t.Errorf("saved %v, want %v", names, want)
	}
}
