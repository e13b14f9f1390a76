package runner_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// mutation changes one thing of a declaration, its data or its adapter.
type mutation struct {
	name string
	do   func(h *house, s *trainStep, p *pipelines.Pipeline)
}

func spec(do func(*pipelines.Spec)) func(*house, *trainStep, *pipelines.Pipeline) {
	return func(_ *house, s *trainStep, _ *pipelines.Pipeline) { do(&s.spec) }
}

func config(name string, v pipelines.Setting) func(*house, *trainStep, *pipelines.Pipeline) {
	return func(_ *house, s *trainStep, _ *pipelines.Pipeline) { s.spec.Train.Config[name] = v }
}

// decides lists what a content key is made of.
var decides = []mutation{
	{"epochs", spec(func(s *pipelines.Spec) { s.Train.Epochs++ })},
	{"batch_size", spec(func(s *pipelines.Spec) { s.Train.BatchSize++ })},
	{"learning_rate", spec(func(s *pipelines.Spec) { s.Train.LearningRate *= 2 })},
	{"seed", spec(func(s *pipelines.Spec) { s.Train.Seed = 1<<62 + 1 })},
	{"monitor", spec(func(s *pipelines.Spec) { s.Train.Monitor = "loss" })},
	{"mode", spec(func(s *pipelines.Spec) { s.Train.Mode = "min" })},
	{"config value", config("optimizer.weight_decay", pipelines.Setting{Value: 0.06})},
	{"default value", config("label_smoothing", pipelines.Setting{Value: 0.1, Origin: pipelines.OriginDefault})},
	{"field that becomes active", config("momentum", pipelines.Setting{Value: 0.9, Origin: pipelines.OriginDefault})},
	{"start checkpoint", spec(func(s *pipelines.Spec) {
		s.Train.Start = &pipelines.Start{Checkpoint: pipelines.Checkpoint{SHA256: "aa"}, Mode: pipelines.StartWeights}
	})},
	{"start mode", spec(func(s *pipelines.Spec) {
		s.Train.Start = &pipelines.Start{Checkpoint: pipelines.Checkpoint{SHA256: "aa"}, Mode: pipelines.StartResume}
	})},
	{"model name", spec(func(s *pipelines.Spec) { s.Model = &pipelines.ModelSpec{Name: "other", ImageSize: 32} })},
	{"image size", spec(func(s *pipelines.Spec) { s.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 64} })},
	{"number of classes", func(h *house, _ *trainStep, _ *pipelines.Pipeline) {
		h.data.report.Classes = []string{"rose", "tulip", "violet"}
	}},
	{"freeze", spec(func(s *pipelines.Spec) {
		s.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 32, Freeze: []string{"stem.*"}}
	})},
	{"pretrained", spec(func(s *pipelines.Spec) { s.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 32, Pretrained: true} })},
	{"weights", spec(func(s *pipelines.Spec) {
		s.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 32, Weights: &pipelines.WeightsFile{Checkpoint: &pipelines.Checkpoint{SHA256: "bb"}}}
	})},
	{"task", spec(func(s *pipelines.Spec) { s.Task = "object_detection" })},
	{"device class", func(h *house, s *trainStep, _ *pipelines.Pipeline) { h.GPUs = 1 }},
	{"fingerprint", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.data.report.Fingerprint = "sha256:d2" }},
	{"classes", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.data.report.Classes = []string{"tulip", "rose"} }},
	{"split", spec(func(s *pipelines.Spec) {
		s.Dataset = &pipelines.DatasetSpec{Name: "flowers", Split: &pipelines.Split{Train: 0.8, Val: 0.2}}
	})},
	{"transforms", spec(func(s *pipelines.Spec) {
		s.Dataset = &pipelines.DatasetSpec{Name: "flowers", Transforms: map[string]any{"grayscale": true}}
	})},
	{"adapter numerics", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.adapt.info.Numerics++ }},
	{"adapter requirements", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.adapt.info.Lock = "sha256:req" }},
}

// decidesNothing lists what may change without a step being done anew.
var decidesNothing = []mutation{
	{"nothing", spec(func(*pipelines.Spec) {})},
	{"pipeline name and description", func(_ *house, _ *trainStep, p *pipelines.Pipeline) { p.Name, p.Description = "x", "y" }},
	{"step name", spec(func(s *pipelines.Spec) { s.Address = "train.renamed" })},
	{"dataset name, path and checks", spec(func(s *pipelines.Spec) {
		s.Dataset = &pipelines.DatasetSpec{Name: "x", Path: "/elsewhere", Checks: pipelines.DatasetChecks{MaxCorrupt: 3}}
	})},
	{"workers", spec(func(s *pipelines.Spec) { s.Train.NumWorkers = 8 })},
	{"preset's name", spec(func(s *pipelines.Spec) { s.Train.Preset = "standard" })},
	{"device by name of the same class", spec(func(s *pipelines.Spec) { s.Train.Device = "cpu" })},
	{"checkpoint policy", spec(func(s *pipelines.Spec) { s.Train.Checkpoint = pipelines.CheckpointPolicy{Every: 2} })},
	{"environment and secrets", spec(func(s *pipelines.Spec) {
		s.Env = map[string]string{"A": "b"}
		s.SecretEnv = map[string]pipelines.Secret{"T": pipelines.NewSecret("s")}
	})},
	{"value that stays, from another origin", config("clip", pipelines.Setting{Value: 1.0, Origin: pipelines.OriginConfig})},
	{"an integer for the same number", config("clip", pipelines.Setting{Value: int64(1)})},
	{"inactive value", config("momentum", pipelines.Setting{Value: 0.5, Inactive: "no"})},
	{"license and order of globs", spec(func(s *pipelines.Spec) { s.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 32, License: "MIT"} })},
	{"retry and timeout", func(_ *house, s *trainStep, _ *pipelines.Pipeline) {
		s.retry, s.timeout = pipelines.Retry{Attempts: 3}, time.Hour
	}},
	{"adapter's version", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.adapt.info.Version = "2" }},
	{"runner's version", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.Version = "9" }},
}

func keyAfter(t *testing.T, h *house, muts ...mutation) string {
	t.Helper()
	s := train("a")
	p := &pipelines.Pipeline{Name: "flowers", Dir: h.dir}
	for _, m := range muts {
		m.do(h, s, p)
	}
	p.Steps = []pipelines.Step{s.step()}
	plan, err := h.Plan(t.Context(), p, runner.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Steps[0].ContentKey
}

func (h *house) fresh() *house {
	c := *h
	c.adapt, c.data = newFakeAdapter(), newFakeDatasets()
	c.Adapters, c.Datasets = registryOf(c.adapt), c.data
	return &c
}

func TestContentKeyCountsWhatDecidesResults(t *testing.T) {
	h := newHouse(t)
	base := keyAfter(t, h.fresh())
	seen := map[string]string{base: "the base"}
	for _, m := range decides {
		k := keyAfter(t, h.fresh(), m)
		if other, ok := seen[k]; ok {
			t.Errorf("a change of %s has the same key as %s", m.name, other)
		}
		seen[k] = m.name
	}
	for _, m := range decidesNothing {
		if keyAfter(t, h.fresh(), m) != base {
			t.Errorf("a change of %s changes the key", m.name)
		}
	}
}

// Whatever is combined: the key changes with what decides results and with
// nothing else.
func TestContentKeyOfCombinations(t *testing.T) {
	h := newHouse(t)
	base := keyAfter(t, h.fresh())
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		one, noise := decides[random.IntN(len(decides))], decidesNothing[random.IntN(len(decidesNothing))]
		if overlaps(one.name, noise.name) {
			continue
		}
		with, without := keyAfter(t, h.fresh(), noise, one), keyAfter(t, h.fresh(), one)
		if with != without {
			t.Errorf("with %q the change of %q gives another key", noise.name, one.name)
		}
		if with == base {
			t.Errorf("with %q the change of %q keeps the key", noise.name, one.name)
		}
	}
}

// overlaps: both mutations write the same part of the declaration.
func overlaps(a, b string) bool {
	parts := map[string]string{"model name": "model", "image size": "model", "num_classes": "model", "freeze": "model", "pretrained": "model",
		"weights": "model", "license and order of globs": "model", "split": "dataset", "transforms": "dataset",
		"dataset name, path and checks": "dataset", "field that becomes active": "momentum", "inactive value": "momentum",
		"device class": "device", "device by name of the same class": "device"}
	return parts[a] != "" && parts[a] == parts[b]
}

func TestCanonicalInputsAreStable(t *testing.T) {
	a, err := runner.Inputs{"b": 1.0, "a": "x<y", "c": []any{true, nil}}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"x<y","b":1,"c":[true,null]}`; string(a) != want {
		t.Errorf("canonical %s, want %s", a, want)
	}
	if _, err := (runner.Inputs{"x": func() {}}).Canonical(); err == nil {
		t.Error("a function was encoded")
	}
}
