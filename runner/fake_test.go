package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

// house is a runner over a real store and fake everything else.
type house struct {
	t     *testing.T
	dir   string
	exec  *fakeExecutor
	data  *fakeDatasets
	adapt *fakeAdapter
	runner.Applier
}

func newHouse(t *testing.T) *house {
	t.Helper()
	t.Parallel() // tests wait for the disk more than for the processor
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h := &house{t: t, dir: dir, adapt: newFakeAdapter(), data: newFakeDatasets()}
	h.exec = &fakeExecutor{steps: map[string]*fakeProcess{}, play: trainWell}
	h.Applier = runner.Applier{
		Planner: runner.Planner{
			Store: store, Datasets: h.data, Adapters: adapters.Registry{h.adapt},
			Executor: func(c pipelines.ExecutorConfig) (runner.Executor, error) {
				if c.Type != "" && c.Type != "local" {
					return nil, pipelines.Errorf(pipelines.CodeUnavailable, "executor %q is not available in this version", c.Type)
				}
				return h.exec, nil
			},
		},
		Dir: filepath.Join(dir, ".runner"), Version: "test",
		RetryDelay: time.Millisecond, Poll: 5 * time.Millisecond, Grace: time.Second,
	}
	return h
}

func (h *house) plan(p *pipelines.Pipeline, opts runner.PlanOptions) *runner.Plan {
	h.t.Helper()
	plan, err := h.Plan(h.t.Context(), p, opts)
	if err != nil {
		h.t.Fatalf("plan: %v", err)
	}
	return plan
}

func (h *house) apply(p *pipelines.Pipeline) (runner.ApplyResult, error) {
	h.t.Helper()
	return h.Apply(h.t.Context(), h.plan(p, runner.PlanOptions{}), runner.ApplyOptions{})
}

func (h *house) mustApply(p *pipelines.Pipeline) runner.ApplyResult {
	h.t.Helper()
	res, err := h.apply(p)
	if err != nil {
		h.t.Fatalf("apply: %v", err)
	}
	return res
}

// step is the planned step at an address.
func (h *house) step(p *pipelines.Pipeline, a pipelines.Address) runner.PlannedStep {
	h.t.Helper()
	s, ok := h.plan(p, runner.PlanOptions{}).Step(a)
	if !ok {
		h.t.Fatalf("no step %s in the plan", a)
	}
	return s
}

func wantAction(t *testing.T, s runner.PlannedStep, want runner.Action) {
	t.Helper()
	if s.Action != want {
		t.Errorf("%s: action %s (%s), want %s", s.Address, s.Action, s.Reason, want)
	}
}

func wantCode(t *testing.T, err error, want pipelines.Code) {
	t.Helper()
	if pipelines.CodeOf(err) != want {
		t.Fatalf("error %v has code %q, want %q", err, pipelines.CodeOf(err), want)
	}
}

// --- a pipeline ---------------------------------------------------------

// trainStep is the declaration of a train block, changed by tests.
type trainStep struct {
	name    string
	spec    pipelines.Spec
	retry   pipelines.Retry
	change  pipelines.OnChange
	timeout time.Duration
	needs   []pipelines.Address
	resolve func(*pipelines.Spec, pipelines.Results)
}

func train(name string) *trainStep {
	return &trainStep{name: name, spec: pipelines.Spec{
		Address: pipelines.Address("train." + name), Kind: pipelines.KindTrain, Adapter: "fake", Task: "image_classification",
		Model:   &pipelines.ModelSpec{Name: "net", ImageSize: 32},
		Dataset: &pipelines.DatasetSpec{Name: "flowers", Format: "imagefolder", Path: "/data/flowers"},
		Train: &pipelines.TrainSpec{
			Epochs: 4, BatchSize: 8, LearningRate: 0.1, Seed: 7, Device: "auto", Monitor: "accuracy", Mode: "max",
			Config: pipelines.Config{
				"optimizer.learning_rate": {Value: 0.1, Origin: pipelines.OriginTrain},
				"optimizer.weight_decay":  {Value: 0.05, Origin: pipelines.OriginConfig, Range: at(12)},
				"label_smoothing":         {Value: 0.0, Origin: pipelines.OriginDefault},
				"clip":                    {Value: 1.0, Origin: pipelines.OriginPreset},
				"momentum":                {Value: 0.9, Origin: pipelines.OriginDefault, Inactive: `optimizer.type is "adam"`},
				"T_max":                   {Value: int64(4), Origin: pipelines.OriginDefault, Derived: "epochs"},
			},
		},
		Ranges: map[string]pipelines.Range{"train.epochs": at(10), "train.batch_size": at(11)},
	}}
}

func at(line int) pipelines.Range {
	return pipelines.Range{Filename: "main.hcl", Start: pipelines.Pos{Line: line, Column: 3}}
}

func (s *trainStep) step() pipelines.Step {
	return pipelines.Step{
		Address: s.spec.Address, Kind: s.spec.Kind, Name: s.name, Needs: s.needs, Range: at(5), Adapter: "fake",
		Task: s.spec.Task, Model: "net", Retry: s.retry, OnChange: s.change, Timeout: s.timeout,
		Resolve: func(r pipelines.Results) (pipelines.Spec, error) {
			spec := s.spec
			tr := *s.spec.Train
			tr.Config = maps.Clone(tr.Config)
			spec.Train = &tr
			if s.resolve != nil {
				s.resolve(&spec, r)
			}
			return spec, nil
		},
	}
}

// evaluate is a step that waits for the best checkpoint of another.
func evaluate(name string, of pipelines.Address) pipelines.Step {
	address := pipelines.Address("evaluate." + name)
	return pipelines.Step{
		Address: address, Kind: pipelines.KindEvaluate, Name: name, Needs: []pipelines.Address{of}, Range: at(30), Adapter: "fake",
		Task: "image_classification", Model: "net",
		Resolve: func(r pipelines.Results) (pipelines.Spec, error) {
			spec := pipelines.Spec{Address: address, Kind: pipelines.KindEvaluate, Adapter: "fake", Task: "image_classification",
				Model:    &pipelines.ModelSpec{Name: "net", ImageSize: 32},
				Dataset:  &pipelines.DatasetSpec{Name: "flowers", Format: "imagefolder", Path: "/data/flowers"},
				Evaluate: &pipelines.EvaluateSpec{Split: "val"}}
			if res, ok := r[of]; ok {
				spec.Evaluate.Checkpoint = *res.Best
			} else {
				spec.Unknown = map[string][]pipelines.Address{"evaluate.checkpoint": {of}}
			}
			return spec, nil
		},
	}
}

func (h *house) pipeline(steps ...any) *pipelines.Pipeline {
	p := &pipelines.Pipeline{Name: "flowers", Dir: h.dir, Sources: []pipelines.Source{{Filename: "main.hcl", Text: []byte("pipeline {}")}}}
	for _, s := range steps {
		switch s := s.(type) {
		case *trainStep:
			p.Steps = append(p.Steps, s.step())
		case pipelines.Step:
			p.Steps = append(p.Steps, s)
		}
	}
	return p
}

// accuracyCheck fails unless a step's accuracy exceeds min.
func accuracyCheck(of pipelines.Address, min float64) pipelines.Check {
	return pipelines.Check{Address: "check.quality", Needs: []pipelines.Address{of}, Range: at(40),
		Evaluate: func(r pipelines.Results) (pipelines.CheckResult, error) {
			res, ok := r[of]
			if !ok {
				return pipelines.CheckResult{Unknown: []pipelines.Address{of}}, nil
			}
			acc := res.Metrics["accuracy"]
			return pipelines.CheckResult{OK: acc > min, Message: "accuracy is too low",
				Values: []pipelines.Operand{{Expr: string(of) + ".metrics.accuracy", Value: fmt.Sprint(acc)}}}, nil
		}}
}

// --- data ---------------------------------------------------------------

type fakeDatasets struct {
	mu       sync.Mutex
	report   pipelines.DatasetReport
	inspects int
}

func newFakeDatasets() *fakeDatasets {
	return &fakeDatasets{report: pipelines.DatasetReport{
		Fingerprint: "sha256:d1", Classes: []string{"rose", "tulip"},
		Counts: map[string]map[string]int{"train": {"rose": 10, "tulip": 12}, "val": {"rose": 3, "tulip": 3}},
	}}
}

func (d *fakeDatasets) Inspect(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetReport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inspects++
	r := d.report
	r.Name, r.Path, r.Format = spec.Name, spec.Path, spec.Format
	return r, nil
}

func (d *fakeDatasets) Index(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pipelines.DatasetIndex{Name: spec.Name, Fingerprint: d.report.Fingerprint, Classes: d.report.Classes}, nil
}

// --- an adapter -----------------------------------------------------------

type fakeAdapter struct {
	info   adapters.Info
	schema schema.Schema
}

func newFakeAdapter() *fakeAdapter {
	return &fakeAdapter{
		info: adapters.Info{Name: "fake", Version: "1", Numerics: 1, License: "Apache-2.0", Devices: []string{"cpu", "cuda"}},
		schema: schema.Schema{Fields: []schema.Field{
			{Name: "optimizer.learning_rate", Type: schema.Number, Resume: schema.Apply},
			{Name: "optimizer.weight_decay", Type: schema.Number, Resume: schema.Apply},
			{Name: "label_smoothing", Type: schema.Number, Resume: schema.Keep},
			{Name: "clip", Type: schema.Number, Resume: schema.Reset},
			{Name: "momentum", Type: schema.Number},
			{Name: "T_max", Type: schema.Integer, Resume: schema.Forbid},
		}},
	}
}

func (a *fakeAdapter) Info() adapters.Info { return a.info }
func (a *fakeAdapter) Models(string) []adapters.Model {
	return []adapters.Model{{ModelName: "net", Framework: "fake", License: "AGPL-3.0-only"}}
}
func (a *fakeAdapter) Schema(string) (schema.Schema, schema.Presets, bool) {
	return a.schema, nil, true
}
func (a *fakeAdapter) Command(_ context.Context, path string) (adapters.Command, error) {
	return adapters.Command{Argv: []string{"fake-step", path}}, nil
}

// --- an executor ----------------------------------------------------------

// fakeProcess is an attempt as the fake executor knows it; it outlives runners.
type fakeProcess struct {
	mu     sync.Mutex
	events []pipelines.Event
	more   chan struct{} // closed and replaced when events grow or the process ends
	ended  bool
	exit   runner.Exit
	cancel context.CancelFunc
}

// script plays a step: it emits events and returns how the process ended.
type script func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit

// fakeExecutor runs scripts as goroutines and obeys the contract of Executor.
type fakeExecutor struct {
	mu      sync.Mutex
	steps   map[string]*fakeProcess // by attempt folder
	play    script
	jobs    []runner.Job // in the order in which they were started
	unknown int          // probes to answer with unknown
}

func (e *fakeExecutor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	p := e.process(job)
	for sent := 0; ; {
		p.mu.Lock()
		batch, ended, exit, more := slices.Clone(p.events[sent:]), p.ended, p.exit, p.more
		p.mu.Unlock()
		if len(batch) > 0 {
			if err := sink(ctx, batch); err != nil {
				return runner.Exit{}, err
			}
			sent += len(batch)
			continue
		}
		if ended {
			return exit, nil
		}
		select {
		case <-ctx.Done():
			return runner.Exit{}, ctx.Err()
		case <-more:
		}
	}
}

func (e *fakeExecutor) process(job runner.Job) *fakeProcess {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.steps[job.Task.AttemptDir]; ok {
		return p
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &fakeProcess{more: make(chan struct{}), cancel: cancel}
	e.steps[job.Task.AttemptDir] = p
	e.jobs = append(e.jobs, job)
	if f, err := os.Create(filepath.Join(job.Task.AttemptDir, "lock")); err == nil {
		f.Close()
	}
	play := e.play
	go func() {
		seq := int64(0)
		exit := play(ctx, job, func(ev pipelines.Event) {
			seq++
			ev.Version, ev.Attempt, ev.Seq, ev.Time = 1, job.Task.Attempt, seq, time.Now()
			p.grow(func() { p.events = append(p.events, ev) })
		})
		p.grow(func() { p.ended, p.exit = true, exit })
	}()
	return p
}

func (p *fakeProcess) grow(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.more)
	p.more = make(chan struct{})
}

func (e *fakeExecutor) Cancel(_ context.Context, job runner.Job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.steps[job.Task.AttemptDir]; ok {
		p.cancel()
	}
	return nil
}

func (e *fakeExecutor) Probe(_ context.Context, at pipelines.Attempt) (runner.Liveness, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unknown > 0 {
		e.unknown--
		return runner.Unknown, nil
	}
	p, ok := e.steps[at.Dir]
	if !ok {
		return runner.Ended, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return runner.Ended, nil
	}
	return runner.Alive, nil
}

func (e *fakeExecutor) started() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs)
}

// --- what steps do ----------------------------------------------------------

// applied is the honest answer to a task.
func applied(t pipelines.Task) *pipelines.ConfigApplied {
	c := &pipelines.ConfigApplied{Values: map[string]any{}, Attributes: map[string]any{}, Proof: "objects"}
	if t.Train == nil {
		return c
	}
	maps.Copy(c.Values, t.Train.Config)
	c.Attributes["epochs"], c.Attributes["batch_size"] = t.Train.Epochs, t.Train.BatchSize
	c.Attributes["learning_rate"], c.Attributes["seed"] = t.Train.LearningRate, t.Train.Seed
	return c
}

// checkpoint writes a checkpoint's file and describes it.
func checkpoint(t pipelines.Task, name string, epoch int) *pipelines.Checkpoint {
	path := filepath.Join(t.RunDir, "checkpoints", name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	os.WriteFile(path, []byte(name), 0o644)
	return &pipelines.Checkpoint{Name: name, Path: path, SHA256: fmt.Sprintf("%s-%s-%d", t.RunID, name, epoch), Epoch: epoch, GlobalStep: int64(epoch) * 10}
}

func completed(t pipelines.Task) pipelines.Event {
	r := &pipelines.StepResult{State: pipelines.StatusCompleted, Metrics: map[string]float64{"accuracy": 0.8}}
	if t.Train != nil {
		r.Best, r.Latest = checkpoint(t, "best", t.Train.Epochs), checkpoint(t, "latest", t.Train.Epochs)
	}
	return pipelines.Event{Type: pipelines.EventResult, Result: r}
}

func trainWell(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	if t := job.Task.Train; t != nil {
		emit(pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: 1, GlobalStep: 10, Split: "train", Values: map[string]float64{"loss": 1}}})
		emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
	}
	emit(completed(job.Task))
	return runner.Exit{}
}

// sameWeights trains to weights that do not depend on anything.
func sameWeights(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	done := completed(job.Task)
	if done.Result.Best != nil {
		done.Result.Best.SHA256 = "the same"
	}
	emit(done)
	return runner.Exit{}
}

// train2 is a train step with another content key than train's.
func train2(name string) *trainStep {
	s := train(name)
	s.spec.Train.Seed = 2
	return s
}

func asString(v any) string { return fmt.Sprint(v) }

// trainUntil trains one epoch, then waits to be cancelled or killed.
func trainUntil(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
	<-ctx.Done()
	emit(pipelines.Event{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusCancelled}})
	return runner.Exit{Code: 130}
}

// failWith ends an attempt with a cause that the executor knows.
func failWith(cause pipelines.Cause) script {
	return func(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
		return runner.Exit{Code: -1, Signal: "killed", Cause: cause, Message: "it died"}
	}
}

// notices records what an observer is told.
type notices struct {
	mu   sync.Mutex
	list []runner.Notice
}

func (n *notices) Observe(x runner.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, x)
}

func (n *notices) types() []runner.NoticeType {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []runner.NoticeType
	for _, x := range n.list {
		out = append(out, x.Type)
	}
	return out
}

func (n *notices) wait(t *testing.T, want runner.NoticeType) {
	t.Helper()
	for range 400 {
		if slices.Contains(n.types(), want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never told %s; told %v", want, n.types())
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
