package runner_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
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
