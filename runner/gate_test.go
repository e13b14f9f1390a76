package runner_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func TestDatasetGatesStopThePlan(t *testing.T) {
	corrupt := []pipelines.FileProblem{{Path: "a.jpg", Error: "truncated"}}
	leaks := []pipelines.Leak{{Paths: []string{"train/x.png", "val/y.png"}, Splits: []string{"train", "val"}}}
	for _, tt := range []struct {
		name   string
		checks pipelines.DatasetChecks
		report func(*pipelines.DatasetReport)
		code   pipelines.Code
		says   string
	}{
		{"clean", pipelines.DatasetChecks{MinPerClass: 10}, func(*pipelines.DatasetReport) {}, "", ""},
		{"corrupt", pipelines.DatasetChecks{}, func(r *pipelines.DatasetReport) { r.Corrupt = corrupt }, pipelines.CodeCheckFailed, "a.jpg (truncated)"},
		{"corrupt allowed", pipelines.DatasetChecks{MaxCorrupt: 1}, func(r *pipelines.DatasetReport) { r.Corrupt = corrupt }, "", "are left out"},
		{"few", pipelines.DatasetChecks{MinPerClass: 11}, func(*pipelines.DatasetReport) {}, pipelines.CodeCheckFailed, "rose (10)"},
		{"leak", pipelines.DatasetChecks{}, func(r *pipelines.DatasetReport) { r.Leaks = leaks }, pipelines.CodeCheckFailed, "train/x.png = val/y.png"},
		{"leak warned", pipelines.DatasetChecks{Leakage: "warn"}, func(r *pipelines.DatasetReport) { r.Leaks = leaks }, "", "more than one split"},
		{"leak ignored", pipelines.DatasetChecks{Leakage: "ignore"}, func(r *pipelines.DatasetReport) { r.Leaks = leaks }, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			tt.report(&h.data.report)
			s, o := train("a"), train2("b") // both use it; it is inspected and told once
			d := &pipelines.DatasetSpec{Name: "flowers", Checks: tt.checks, Range: at(3)}
			s.spec.Dataset, o.spec.Dataset = d, d
			plan, err := h.Plan(t.Context(), h.pipeline(s, o), runner.PlanOptions{})
			if pipelines.CodeOf(err) != tt.code {
				t.Fatalf("error %v, want code %q", err, tt.code)
			}
			if len(plan.Datasets) != 1 || h.data.inspects != 1 || plan.Datasets[0].Report.Counts["train"]["rose"] != 10 {
				t.Errorf("datasets %+v after %d inspections", plan.Datasets, h.data.inspects)
			}
			want := 0
			if tt.says != "" {
				want = 1
			}
			if len(plan.Problems) != want || (want == 1 && !strings.Contains(plan.Problems[0].String(), tt.says)) {
				t.Errorf("problems %v, want one that says %q", plan.Problems, tt.says)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "main.hcl:3,3") {
					t.Errorf("error %q does not point at the dataset", err)
				}
				_, err = h.Apply(t.Context(), plan, runner.ApplyOptions{})
				wantCode(t, err, pipelines.CodeInvalid)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(h *house, s *trainStep, p *pipelines.Pipeline)
		says   string
	}{
		{"a license", func(_ *house, _ *trainStep, p *pipelines.Pipeline) { p.Policy.ForbidLicenses = []string{"AGPL-3.0"} }, "AGPL-3.0-only"},
		{"a tracker", func(_ *house, _ *trainStep, p *pipelines.Pipeline) {
			p.Trackers = []pipelines.BackendConfig{{Type: "mlflow", Range: at(50)}}
		}, "main.hcl:50,3: Not available in this version"},
		{"a missing device", func(_ *house, s *trainStep, _ *pipelines.Pipeline) { s.spec.Train.Device = "cuda:1" }, "No such device"},
		{"a device beyond the last", func(h *house, s *trainStep, _ *pipelines.Pipeline) {
			h.Planner.GPUs = 2
			s.spec.Train.Device = "cuda:2"
		}, "2 CUDA device(s), counted from cuda:0"},
		{"another number of classes", func(_ *house, s *trainStep, _ *pipelines.Pipeline) {
			s.spec.Model = &pipelines.ModelSpec{Name: "net", NumClasses: 9}
			s.spec.Ranges = map[string]pipelines.Range{"model.num_classes": at(12)}
		}, "main.hcl:12,3: Number of classes contradicts the dataset"},
		{"an empty split", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { delete(h.data.report.Splits, "train") }, "Split is empty"},
		{"a missing weights file", func(_ *house, s *trainStep, _ *pipelines.Pipeline) {
			s.spec.Model = &pipelines.ModelSpec{Name: "net", Weights: &pipelines.WeightsFile{Path: "none.safetensors"}}
		}, "there is no file or folder"},
		{"an unknown adapter", func(h *house, _ *trainStep, _ *pipelines.Pipeline) { h.adapt.info.Name = "other" }, "There is no adapter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			s := train("a")
			p := h.pipeline()
			tt.change(h, s, p)
			p.Steps = []pipelines.Step{s.step()}
			plan, err := h.Plan(t.Context(), p, runner.PlanOptions{})
			wantCode(t, err, pipelines.CodeInvalid)
			if plan == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
		})
	}
}

func TestUnavailableExecutor(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"))
	p.Steps[0].Executor = "executor.kubernetes.k"
	p.Executors = map[pipelines.Address]pipelines.ExecutorConfig{"executor.kubernetes.k": {Address: "executor.kubernetes.k", Type: "kubernetes", Range: at(60)}}
	_, err := h.Plan(t.Context(), p, runner.PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "main.hcl:60,3") || !strings.Contains(err.Error(), "not available in this version") {
		t.Errorf("error %v", err)
	}
}

func TestMoreDevicesThanAnAdapterUses(t *testing.T) {
	for name, want := range map[string]string{"gpus": "gpus = 2", "nodes": "nodes = 2", "image": ""} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.adapt.info.MaxGPUs = 1
			p := h.pipeline(train("a"))
			p.Steps[0].Executor = "executor.dagger.two"
			p.Executors = map[pipelines.Address]pipelines.ExecutorConfig{"executor.dagger.two": {
				Address: "executor.dagger.two", Type: "dagger", Range: at(61), Attributes: map[string]any{name: int64(2)}}}
			_, err := h.Plan(t.Context(), p, runner.PlanOptions{})
			refused := strings.Contains(fmt.Sprint(err), "main.hcl:61,3: More devices than can be used")
			if refused != (want != "") || refused && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestChecks(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"))
	p.Checks = []pipelines.Check{accuracyCheck("train.a", 0.9)}
	p.Outputs = []pipelines.Output{{Name: "accuracy", Evaluate: func(r pipelines.Results) (any, []pipelines.Address, error) {
		res, ok := r["train.a"]
		if !ok {
			return nil, []pipelines.Address{"train.a"}, nil
		}
		return res.Metrics["accuracy"], nil, nil
	}}, {Name: "token", Sensitive: true, Evaluate: func(pipelines.Results) (any, []pipelines.Address, error) { return "hunter2", nil, nil }}}
	p.Outputs = append(p.Outputs, pipelines.Output{Name: "losses", Evaluate: func(pipelines.Results) (any, []pipelines.Address, error) {
		return map[string]any{"of": []any{math.Inf(1), 1.0}}, nil, nil
	}})
	plan := h.plan(p, runner.PlanOptions{})
	if plan.Checks[0].State != runner.CheckUnknown || plan.Outputs[0].KnownAfter[0] != "train.a" || plan.Outputs[1].Value != nil {
		t.Errorf("plan of checks %+v, outputs %+v", plan.Checks, plan.Outputs)
	}
	// Once after training, and again when nothing is to be done.
	for range 2 {
		res, err := h.apply(p)
		wantCode(t, err, pipelines.CodeCheckFailed)
		for _, want := range []string{"main.hcl:40,3", "accuracy is too low", "train.a.metrics.accuracy is 0.8"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q lacks %q", err, want)
			}
		}
		if got := fmt.Sprint(res.Outputs["losses"].Value); got != "map[of:[Infinity 1]]" {
			t.Errorf("losses %s", got)
		}
		if res.Outputs["accuracy"].Value != 0.8 || res.Outputs["token"] != (runner.OutputValue{Sensitive: true}) {
			t.Errorf("outputs %+v", res.Outputs)
		}
	}
	stored, err := h.Store.Outputs(t.Context(), "flowers")
	if err != nil || stored["accuracy"].Value != 0.8 || stored["token"].Value != nil {
		t.Errorf("stored outputs %+v, %v", stored, err)
	}
	p.Checks = []pipelines.Check{accuracyCheck("train.a", 0.5)}
	h.mustApply(p)
	if h.exec.started() != 1 {
		t.Errorf("checks started %d attempts", h.exec.started()-1)
	}
}

// A dataset that an earlier step makes is inspected, and judged, at apply.
func TestLateDataset(t *testing.T) {
	h := newHouse(t)
	late := train2("b")
	late.needs = []pipelines.Address{"train.a"}
	late.resolve = func(s *pipelines.Spec, r pipelines.Results) {
		d := *s.Dataset
		d.Name, d.Checks.MinPerClass = "made", 1
		s.Dataset = &d
		if _, ok := r["train.a"]; !ok {
			s.Unknown = map[string][]pipelines.Address{"dataset.path": {"train.a"}}
		}
	}
	p := h.pipeline(train("a"), late)
	plan := h.plan(p, runner.PlanOptions{})
	if h.data.inspects != 1 || len(plan.Steps[1].KnownAfter) != 1 || plan.Steps[1].ContentKey != "" {
		t.Errorf("%d inspections; planned %+v", h.data.inspects, plan.Steps[1])
	}
	h.data.report.Counts["train"]["rose"] = 0 // what train.a leaves behind
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{})
	var ps runner.Problems
	if !errors.As(err, &ps) || res.Steps[1].Cause != pipelines.CauseData || !strings.Contains(res.Steps[1].Error, "Too few images") {
		t.Errorf("late dataset: %v, %+v", err, res.Steps[1])
	}
}

// Data that changes between plan and apply is not trained on.
func TestDataChangedSincePlan(t *testing.T) {
	h := newHouse(t)
	plan := h.plan(h.pipeline(train("a")), runner.PlanOptions{})
	h.data.report.Fingerprint = "sha256:d2"
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{})
	wantCode(t, err, pipelines.CodeStepFailed)
	if res.Steps[0].Cause != pipelines.CauseData || !strings.Contains(err.Error(), "changed since the plan was made") || h.exec.started() != 0 {
		t.Errorf("error %v after %d attempts", err, h.exec.started())
	}
	// Such a run never started: it is not continued.
	h.data.report.Fingerprint = "sha256:d1"
	if got := h.step(h.pipeline(train("a")), "train.a"); got.Action != runner.ActionRun || got.Reason != "its last run did not get to start" {
		t.Errorf("planned %s: %s", got.Action, got.Reason)
	}
}
