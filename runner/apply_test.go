package runner_test

import (
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func TestApplyTwiceDoesNothing(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"), evaluate("holdout", "train.a"))
	plan := h.plan(p, runner.PlanOptions{})
	wantAction(t, plan.Steps[0], runner.ActionRun)
	wantAction(t, plan.Steps[1], runner.ActionRun)
	if k := plan.Steps[1].KnownAfter; len(k) != 1 || k[0].Field != "checkpoint" || k[0].Steps[0] != "train.a" {
		t.Errorf("evaluate.holdout is known after %+v, want its checkpoint after train.a", k)
	}
	var told notices
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{Observer: &told})
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != pipelines.StatusCompleted || len(res.Steps) != 2 || h.exec.started() != 2 {
		t.Fatalf("result %+v after %d attempts", res, h.exec.started())
	}
	for _, typ := range []runner.NoticeType{runner.NoticeApplyStarted, runner.NoticeStepDecided, runner.NoticeStepStarted,
		runner.NoticeStepEvent, runner.NoticeStepEnded, runner.NoticeApplyEnded} {
		told.wait(t, typ)
	}

	plan = h.plan(p, runner.PlanOptions{})
	if plan.Changes {
		t.Errorf("the second plan has changes: %+v", plan.Steps)
	}
	res = h.mustApply(p)
	if h.exec.started() != 2 || res.ApplyID != "" {
		t.Errorf("the second apply started attempts (%d in all), apply %q", h.exec.started(), res.ApplyID)
	}
	if res.Steps[0].Action != runner.ActionReuse || res.Steps[0].Result.Metrics["accuracy"] != 0.8 {
		t.Errorf("second apply: %+v", res.Steps[0])
	}
}
