package rtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// mocks are the stand-ins of one run; the first that fits counts.
type mocks []mock

func (ms mocks) find(address string) (mock, bool) {
	for _, m := range ms {
		if m.Address == address || strings.HasPrefix(address, m.Address+"[") {
			return m, true
		}
	}
	return mock{}, false
}

// catalog finds the adapters there are; their steps are not started.
type catalog struct{ runner.Adapters }

// Lookup implements runner.Adapters.
func (c catalog) Lookup(name string) (adapters.Adapter, bool) {
	a, ok := c.Adapters.Lookup(name)
	return unstarted{a}, ok
}

// unstarted is an adapter without the environment or the image that its steps
// would need.
type unstarted struct{ adapters.Adapter }

// Command implements adapters.Adapter.
func (unstarted) Command(context.Context, string) (adapters.Command, error) {
	return adapters.Command{}, nil
}

// data is the data of a run: mocked, or what lies at the path.
type data struct {
	runner.Datasets
	mocks mocks
}

// Localize implements runner.Datasets.
func (d data) Localize(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error) {
	if _, ok := d.mocks.find("dataset." + spec.Name); ok {
		return spec, nil
	}
	return d.Datasets.Localize(ctx, spec)
}

// Inspect implements runner.Datasets.
func (d data) Inspect(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetReport, error) {
	m, ok := d.mocks.find("dataset." + spec.Name)
	if !ok {
		r, err := d.Datasets.Inspect(ctx, spec)
		if err != nil {
			err = fmt.Errorf("%w (mock \"dataset.%s\" stands in for it)", err, spec.Name)
		}
		return r, err
	}
	return m.report(spec), nil
}

// Index implements runner.Datasets. The samples of a mocked dataset are not there.
func (d data) Index(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error) {
	m, ok := d.mocks.find("dataset." + spec.Name)
	if !ok {
		return d.Datasets.Index(ctx, spec)
	}
	r := m.report(spec)
	return pipelines.DatasetIndex{Name: spec.Name, Format: spec.Format, Fingerprint: r.Fingerprint, Classes: r.Classes}, nil
}

func (m mock) report(spec pipelines.DatasetSpec) pipelines.DatasetReport {
	classes := m.Classes
	if len(spec.Classes) > 0 {
		classes = spec.Classes
	}
	if len(classes) == 0 {
		classes = []string{"a", "b"}
	}
	r := pipelines.DatasetReport{Name: spec.Name, Path: spec.Path, Format: spec.Format, Classes: classes,
		Counts: map[string]map[string]int{}, Splits: map[string]int{}, MinSize: [2]int{64, 64}, MaxSize: [2]int{64, 64}}
	for split, n := range map[string]int{"train": count(m.Train, 100), "val": count(m.Val, 20), "test": count(m.Test, 0)} {
		if n == 0 {
			continue
		}
		r.Counts[split] = map[string]int{}
		for _, c := range classes {
			r.Counts[split][c] = n
			r.Splits[split] += n
			r.Images += n
		}
	}
	for i := range m.Corrupt {
		r.Corrupt = append(r.Corrupt, pipelines.FileProblem{Path: fmt.Sprintf("mock/corrupt-%d.png", i), Kind: "corrupt", Error: "mocked"})
	}
	for i := range m.Leaks {
		r.Leaks = append(r.Leaks, pipelines.Leak{SHA256: digest("leak", i), Splits: []string{"train", "val"},
			Paths: []string{fmt.Sprintf("mock/train/%d.png", i), fmt.Sprintf("mock/val/%d.png", i)}})
	}
	r.Fingerprint = "sha256:" + digest("dataset", m.Address, r.Counts, classes, m.Corrupt, m.Leaks)
	return r
}

func count(n *int, def int) int {
	if n == nil {
		return def
	}
	return *n
}

// executor ends every attempt at once, as its mock says.
type executor struct{ mocks mocks }

// Run implements runner.Executor.
func (e executor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	t := job.Task
	m, _ := e.mocks.find(string(t.Address))
	var seq int64
	send := func(ev pipelines.Event) error {
		seq++
		ev.Version, ev.Attempt, ev.Seq, ev.Time = pipelines.EventVersion, t.Attempt, seq, time.Now().UTC()
		switch {
		case ev.ConfigApplied != nil:
			ev.Type = pipelines.EventConfigApplied
		case ev.Validation != nil:
			ev.Type = pipelines.EventValidation
		case ev.Checkpoint != nil:
			ev.Type = pipelines.EventCheckpoint
		case ev.Result != nil:
			ev.Type = pipelines.EventResult
		}
		return sink(ctx, []pipelines.Event{ev})
	}
	if err := send(pipelines.Event{ConfigApplied: applied(t)}); err != nil {
		return runner.Exit{}, err
	}
	if m.Fail != "" {
		cause := pipelines.Cause(m.Fail)
		err := send(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusFailed, Cause: cause, Error: "mocked failure: " + m.Fail}})
		return runner.Exit{Code: 1, Cause: cause}, err
	}
	result, err := e.finish(t, m, send)
	if err != nil {
		return runner.Exit{}, err
	}
	return runner.Exit{}, send(pipelines.Event{Result: result})
}

// applied reports the config as planned: a mock builds nothing.
func applied(t pipelines.Task) *pipelines.ConfigApplied {
	out := &pipelines.ConfigApplied{Values: map[string]any{}, Proof: "objects"}
	if tr := t.Train; tr != nil {
		out.Values = tr.Config
		out.Attributes = map[string]any{"epochs": tr.Epochs, "batch_size": tr.BatchSize, "learning_rate": tr.LearningRate, "seed": tr.Seed,
			"device": tr.Device}
		if t.Model != nil {
			out.Attributes["image_size"], out.Attributes["num_classes"] = t.Model.ImageSize, t.Model.NumClasses
		}
	}
	return out
}

// finish makes what a completed step of that kind leaves.
func (e executor) finish(t pipelines.Task, m mock, send func(pipelines.Event) error) (*pipelines.StepResult, error) {
	metrics := map[string]float64{"accuracy": 0.5, "loss": 1}
	for name, v := range m.Metrics {
		metrics[name] = v
	}
	r := &pipelines.StepResult{State: pipelines.StatusCompleted, Metrics: metrics, LastMetrics: metrics}
	switch t.Kind {
	case pipelines.KindTrain:
		c := pipelines.Checkpoint{RunID: t.RunID, Name: fmt.Sprintf("epoch_%d", t.Train.Epochs), Epoch: t.Train.Epochs, GlobalStep: int64(t.Train.Epochs), Metrics: metrics}
		c.Path = filepath.Join(t.RunDir, "checkpoints", c.Name)
		c.SHA256 = digest(t.Model, t.Dataset.Fingerprint, t.Train.Config, t.Train.Epochs, metrics)
		if err := os.MkdirAll(c.Path, 0o755); err != nil {
			return nil, err
		}
		best, latest := c, c
		best.Name, latest.Name = "best", "latest"
		r.Best, r.Latest = &best, &latest
		v := pipelines.Validation{Epoch: c.Epoch, GlobalStep: c.GlobalStep, TaskType: t.TaskType, Split: "val", Metrics: metrics, Loss: metrics["loss"],
			PrimaryName: t.Train.Monitor, PrimaryValue: metrics[t.Train.Monitor]}
		for _, ev := range []pipelines.Event{{Validation: &v}, {Checkpoint: &best}, {Checkpoint: &latest}} {
			if err := send(ev); err != nil {
				return nil, err
			}
		}
		return r, model(t, r)
	case pipelines.KindExport:
		return r, model(t, r)
	case pipelines.KindStep:
		r.Outputs = map[string]string{}
		if t.Command != nil {
			for name := range t.Command.Outputs {
				r.Outputs[name] = filepath.Join(t.RunDir, "outputs", name)
				if err := os.MkdirAll(r.Outputs[name], 0o755); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// model makes the artifact that trainings and exports leave.
func model(t pipelines.Task, r *pipelines.StepResult) error {
	a := pipelines.Artifact{Name: "model.onnx", Path: filepath.Join(t.RunDir, "artifacts", "model.onnx"), SHA256: digest(t.Export, t.Train)}
	if err := os.MkdirAll(filepath.Dir(a.Path), 0o755); err != nil {
		return err
	}
	r.Artifacts = []pipelines.Artifact{a}
	return os.WriteFile(a.Path, []byte("mocked\n"), 0o644)
}

// Cancel implements runner.Executor: nothing outlives Run.
func (executor) Cancel(context.Context, runner.Job) error { return nil }

// Probe implements runner.Executor.
func (executor) Probe(context.Context, pipelines.Attempt) (runner.Liveness, error) {
	return runner.Ended, nil
}

// digest is a hash over the JSON of its arguments.
func digest(parts ...any) string {
	b, _ := json.Marshal(parts) // plain data
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
