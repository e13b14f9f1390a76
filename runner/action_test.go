package runner_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func registryOf(a adapters.Adapter) adapters.Registry { return adapters.Registry{a} }

// The changed-step rule: what a change means, by the contract of the fields
// and on_change.
func TestChangedTrainStep(t *testing.T) {
	set := func(name string, v any) func(*trainStep) {
		return func(s *trainStep) {
			c := s.spec.Train.Config[name]
			c.Value = v
			s.spec.Train.Config[name] = c
		}
	}
	epochs := func(n int) func(*trainStep) { return func(s *trainStep) { s.spec.Train.Epochs = n } }
	for _, tt := range []struct {
		name     string
		change   func(*trainStep)
		onChange pipelines.OnChange
		want     runner.Action
		reason   string
		keep     []string
		reset    []string
	}{
		{"more epochs resume by default", epochs(8), "", runner.ActionResumeChange, "goes on from latest", nil, nil},
		{"more epochs, retrain wanted", epochs(8), "retrain", runner.ActionRetrain, `on_change is "retrain"`, nil, nil},
		{"fewer epochs", epochs(2), "resume", runner.ActionRetrain, "nothing would be left", nil, nil},
		{"derived values follow and are not counted", func(s *trainStep) { epochs(8)(s); set("T_max", int64(8))(s) }, "",
			runner.ActionResumeChange, "changed: epochs;", nil, nil},
		{"apply field without on_change", func(s *trainStep) { epochs(8)(s); set("optimizer.weight_decay", 0.1)(s) }, "",
			runner.ActionRetrain, `on_change = "resume" is not set`, nil, nil},
		{"apply field", func(s *trainStep) { epochs(8)(s); set("optimizer.weight_decay", 0.1)(s) }, "resume",
			runner.ActionResumeChange, "config.optimizer.weight_decay, epochs", nil, nil},
		{"learning rate has the schema's contract", func(s *trainStep) { epochs(8)(s); s.spec.Train.LearningRate = 0.2 }, "resume",
			runner.ActionResumeChange, "epochs, learning_rate", nil, nil},
		{"keep and reset fields", func(s *trainStep) { epochs(8)(s); set("label_smoothing", 0.1)(s); set("clip", 5.0)(s) }, "resume",
			runner.ActionResumeChange, "", []string{"label_smoothing"}, []string{"clip"}},
		{"forbid field", func(s *trainStep) { epochs(8)(s); s.spec.Train.BatchSize = 16 }, "resume",
			runner.ActionRetrain, "a change of batch_size means training anew", nil, nil},
		{"field without contract", func(s *trainStep) {
			epochs(8)(s)
			s.spec.Train.Config["momentum"] = pipelines.Setting{Value: 0.9}
		}, "resume", runner.ActionRetrain, "a change of config.momentum means", nil, nil},
		{"nothing left to train", set("optimizer.weight_decay", 0.1), "resume", runner.ActionRetrain, "nothing would be left", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.mustApply(h.pipeline(train("a")))
			s := train("a")
			s.change = tt.onChange
			tt.change(s)
			got := h.step(h.pipeline(s), "train.a")
			wantAction(t, got, tt.want)
			if !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("reason %q lacks %q", got.Reason, tt.reason)
			}
			if !slices.Equal(got.Keep, tt.keep) || !slices.Equal(got.Reset, tt.reset) {
				t.Errorf("keep %v, reset %v", got.Keep, got.Reset)
			}
		})
	}
}

func TestPlanShowsOldAndNew(t *testing.T) {
	h := newHouse(t)
	h.mustApply(h.pipeline(train("a")))
	s := train("a")
	s.spec.Train.Epochs = 8
	got := h.step(h.pipeline(s), "train.a")
	if len(got.Changes) != 1 {
		t.Fatalf("changes %+v", got.Changes)
	}
	c := got.Changes[0]
	if c.Field != "epochs" || c.Effect != "counts from epoch 5" || c.Range != at(10) {
		t.Errorf("change %+v", c)
	}
	if o, n := c.Old, c.New; asString(o) != "4" || asString(n) != "8" {
		t.Errorf("%v -> %v, want 4 -> 8", o, n)
	}
	var kinds []string
	for _, n := range got.Settings {
		kinds = append(kinds, n.Field+" "+n.Kind)
	}
	if want := []string{"T_max derived", "momentum inactive"}; !slices.Equal(kinds, want) {
		t.Errorf("settings %v, want %v", kinds, want)
	}
}

// A planned resume is a new run with a parent, a start checkpoint and the
// checkpoint's values for what is kept.
func TestResumeAfterChange(t *testing.T) {
	h := newHouse(t)
	first := h.mustApply(h.pipeline(train("a"))).Steps[0]
	s := train("a")
	s.change = pipelines.OnChangeResume
	s.spec.Train.Epochs = 8
	s.spec.Train.Config["label_smoothing"] = pipelines.Setting{Value: 0.2, Origin: pipelines.OriginConfig}
	second := h.mustApply(h.pipeline(s)).Steps[0]
	run, err := h.Store.Run(t.Context(), second.RunID)
	if err != nil {
		t.Fatal(err)
	}
	if run.ID == first.RunID || run.Parent != first.RunID {
		t.Errorf("run %s has parent %q, want a new run with parent %s", run.ID, run.Parent, first.RunID)
	}
	task := h.exec.jobs[1].Task
	if st := task.Train.Start; st == nil || st.Mode != pipelines.StartResume || st.Checkpoint.Epoch != 4 {
		t.Errorf("start %+v, want to resume from epoch 4", task.Train.Start)
	}
	if v := task.Train.Config["label_smoothing"]; asString(v) != "0" {
		t.Errorf("label_smoothing %v reaches the step, want the checkpoint's 0", v)
	}
	if task.Train.Epochs != 8 || task.Resume {
		t.Errorf("epochs %d, resume %v", task.Train.Epochs, task.Resume)
	}
	wantAction(t, h.step(h.pipeline(s), "train.a"), runner.ActionReuse)
}

func TestReuseByContentKeyAnywhere(t *testing.T) {
	h := newHouse(t)
	h.mustApply(h.pipeline(train("a")))
	other := h.pipeline(train("elsewhere"))
	other.Name = "other"
	s := h.step(other, "train.elsewhere")
	wantAction(t, s, runner.ActionReuse)
	if !strings.Contains(s.Reason, `train.a of pipeline "flowers"`) {
		t.Errorf("reason %q does not say whose result it is", s.Reason)
	}
	// Going back to what was done before reuses it too.
	changed := train("a")
	changed.spec.Train.Seed = 8
	h.mustApply(h.pipeline(changed))
	wantAction(t, h.step(h.pipeline(train("a")), "train.a"), runner.ActionReuse)
	if h.exec.started() != 2 {
		t.Errorf("%d attempts, want 2", h.exec.started())
	}
}

func TestReevaluateAndDecideAfter(t *testing.T) {
	h := newHouse(t)
	h.mustApply(h.pipeline(train("a"), evaluate("holdout", "train.a")))
	s := train("a")
	s.spec.Train.Seed = 8
	plan := h.plan(h.pipeline(s, evaluate("holdout", "train.a")), runner.PlanOptions{})
	wantAction(t, plan.Steps[0], runner.ActionRetrain)
	wantAction(t, plan.Steps[1], runner.ActionDecideLater)
	if plan.Steps[1].Reason != "decided after train.a" {
		t.Errorf("reason %q", plan.Steps[1].Reason)
	}
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Steps[1]; got.Action != runner.ActionReevaluate || got.Status != pipelines.StatusCompleted {
		t.Errorf("evaluate.holdout was decided as %s, %s; want re-evaluate", got.Action, got.Status)
	}
	// The same checkpoint again: what was decided late is a reuse.
	s.spec.Train.Config["clip"] = pipelines.Setting{Value: 2.0}
	h.exec.play = sameWeights
	plan = h.plan(h.pipeline(s, evaluate("holdout", "train.a")), runner.PlanOptions{})
	if _, err = h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	s.spec.Train.Config["clip"] = pipelines.Setting{Value: 3.0}
	before := h.exec.started()
	res, err = h.Apply(t.Context(), h.plan(h.pipeline(s, evaluate("holdout", "train.a")), runner.PlanOptions{}), runner.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps[1].Action != runner.ActionReuse || h.exec.started() != before+1 {
		t.Errorf("the evaluation of equal weights was %s", res.Steps[1].Action)
	}
}

func TestReplaceAndTargets(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"), train2("b"), evaluate("holdout", "train.a"))
	plan := h.plan(p, runner.PlanOptions{Targets: []string{"evaluate.holdout"}})
	if len(plan.Steps) != 2 || plan.Steps[0].Address != "train.a" {
		t.Fatalf("targeting evaluate.holdout plans %+v", plan.Steps)
	}
	if _, err := h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	wantAction(t, h.step(p, "train.b"), runner.ActionRun)
	h.mustApply(p)
	plan = h.plan(p, runner.PlanOptions{Replace: []string{"train.b"}})
	wantAction(t, plan.Steps[0], runner.ActionReuse)
	wantAction(t, plan.Steps[1], runner.ActionRetrain)
	n := h.exec.started()
	if _, err := h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil || h.exec.started() != n+1 {
		t.Errorf("replace: %v after %d attempts", err, h.exec.started()-n)
	}
	_, err := h.Plan(t.Context(), p, runner.PlanOptions{Targets: []string{"train.nowhere"}})
	wantCode(t, err, pipelines.CodeInvalid)
	if !strings.Contains(err.Error(), "train.a, train.b, evaluate.holdout") {
		t.Errorf("error %q does not list the steps", err)
	}
}

func TestMovedKeepsState(t *testing.T) {
	h := newHouse(t)
	h.mustApply(h.pipeline(train("old")))
	s := train("new")
	s.spec.Train.Epochs = 8 // so that the key does not find it by itself
	p := h.pipeline(s)
	p.Moved = []pipelines.Moved{{From: "train.old", To: "train.new"}}
	plan := h.plan(p, runner.PlanOptions{})
	wantAction(t, plan.Steps[0], runner.ActionResumeChange)
	if len(plan.Moves) != 1 || plan.Moves[0].From != "train.old" {
		t.Errorf("moves %+v", plan.Moves)
	}
	if _, err := h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	old, err := h.Store.Runs(t.Context(), runner.RunFilter{Pipeline: "flowers", Address: "train.old"})
	if err != nil || len(old) != 0 {
		t.Errorf("runs left at the old address: %d, %v", len(old), err)
	}
	if plan = h.plan(p, runner.PlanOptions{}); plan.Changes || len(plan.Moves) != 0 {
		t.Errorf("after the move the plan still has changes %v, moves %v", plan.Changes, plan.Moves)
	}
}

// A reused run whose files are gone is made anew only when something needs them.
func TestFilesGone(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"), evaluate("holdout", "train.a"))
	res := h.mustApply(p)
	if err := os.RemoveAll(res.Steps[0].Dir); err != nil {
		t.Fatal(err)
	}
	if plan := h.plan(p, runner.PlanOptions{}); plan.Changes {
		t.Errorf("nothing needs the files, and yet: %+v", plan.Steps)
	}
	plan := h.plan(p, runner.PlanOptions{Replace: []string{"evaluate.holdout"}})
	wantAction(t, plan.Steps[0], runner.ActionRetrain)
	if !strings.Contains(plan.Steps[0].Reason, "files of its last run are gone") {
		t.Errorf("reason %q", plan.Steps[0].Reason)
	}
	if _, err := h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAddressList(t *testing.T) {
	got := runner.AddressList([]pipelines.Address{`train.s["a=1"]`, "train.b", `train.s["a=2"]`, `train.c["x"]`})
	if want := `train.s (2 instances), train.b, train.c["x"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
