package runner_test

import (
	"context"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// sequence plays one script an attempt, the last one for all that follow.
func sequence(scripts ...script) script {
	return func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		return scripts[min(job.Task.Attempt, len(scripts))-1](ctx, job, emit)
	}
}

func TestRetryByCause(t *testing.T) {
	reported := func(cause pipelines.Cause) script {
		return func(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
			emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
			emit(pipelines.Event{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusFailed, Cause: cause, Error: "loss is NaN"}})
			return runner.Exit{Code: 1}
		}
	}
	silent := func(context.Context, runner.Job, func(pipelines.Event)) runner.Exit { return runner.Exit{Code: 3} }
	for _, tt := range []struct {
		name     string
		retry    pipelines.Retry
		play     script
		attempts int
		cause    pipelines.Cause
		code     pipelines.Code
	}{
		{"no retry", pipelines.Retry{}, failWith(pipelines.CauseOOM), 1, "oom", pipelines.CodeStepFailed},
		{"a cause that is named", pipelines.Retry{Attempts: 3, On: []pipelines.Cause{"oom"}}, sequence(failWith("oom"), trainWell), 2, "", ""},
		{"a cause that is not", pipelines.Retry{Attempts: 3, On: []pipelines.Cause{"oom"}}, failWith("preempted"), 1, "preempted", pipelines.CodeStepFailed},
		{"attempts count all", pipelines.Retry{Attempts: 3, On: []pipelines.Cause{"oom"}}, failWith("oom"), 3, "oom", pipelines.CodeStepFailed},
		{"the step's own word", pipelines.Retry{Attempts: 2, On: []pipelines.Cause{"nan"}}, sequence(reported("nan"), trainWell), 2, "", ""},
		{"infrastructure without a list", pipelines.Retry{Attempts: 2}, sequence(failWith("infrastructure"), trainWell), 2, "", ""},
		{"user error without a list", pipelines.Retry{Attempts: 2}, silent, 1, "user", pipelines.CodeStepFailed},
		{"timeout", pipelines.Retry{}, failWith("timeout"), 1, "timeout", pipelines.CodeTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.exec.play = tt.play
			s := train("a")
			s.retry = tt.retry
			res, err := h.apply(h.pipeline(s))
			if pipelines.CodeOf(err) != tt.code {
				t.Fatalf("error %v, want code %q", err, tt.code)
			}
			o := res.Steps[0]
			if o.Attempts != tt.attempts || h.exec.started() != tt.attempts || o.Cause != tt.cause {
				t.Errorf("%d attempts, cause %q; want %d, %q", o.Attempts, o.Cause, tt.attempts, tt.cause)
			}
			for i, j := range h.exec.jobs {
				if j.Task.Attempt != i+1 || j.Task.Resume != (i > 0) {
					t.Errorf("attempt %d: number %d, resume %v", i+1, j.Task.Attempt, j.Task.Resume)
				}
			}
		})
	}
}

// A failed or cancelled run is continued by the next apply, as its next attempt.
func TestNextApplyContinuesRun(t *testing.T) {
	h := newHouse(t)
	h.exec.play = failWith(pipelines.CauseOOM)
	p := h.pipeline(train("a"))
	first, err := h.apply(p)
	wantCode(t, err, pipelines.CodeStepFailed)
	s := h.step(p, "train.a")
	wantAction(t, s, runner.ActionResume)
	if s.RunID != first.Steps[0].RunID || s.Attempt != 2 || !strings.Contains(s.Reason, "failed: it died") {
		t.Errorf("planned %+v", s)
	}
	h.exec.play = trainWell
	o := h.mustApply(p).Steps[0]
	if o.RunID != s.RunID || o.Attempts != 2 {
		t.Errorf("continued as run %s attempt %d, want run %s attempt 2", o.RunID, o.Attempts, s.RunID)
	}
	if plan := h.plan(p, runner.PlanOptions{}); plan.Changes {
		t.Error("a completed run is planned again")
	}
}

// A failing step takes those that need it along, and no others.
func TestFailureSkipsDependents(t *testing.T) {
	h := newHouse(t)
	h.exec.play = func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		if job.Task.Address == "train.a" {
			return failWith(pipelines.CauseUser)(ctx, job, emit)
		}
		return trainWell(ctx, job, emit)
	}
	res, err := h.apply(h.pipeline(train("a"), train2("b"), evaluate("of_a", "train.a"), evaluate("of_b", "train.b")))
	wantCode(t, err, pipelines.CodeStepFailed)
	want := []pipelines.Status{pipelines.StatusFailed, pipelines.StatusCompleted, pipelines.StatusSkipped, pipelines.StatusCompleted}
	for i, o := range res.Steps {
		if o.Status != want[i] {
			t.Errorf("%s is %s (%s), want %s", o.Address, o.Status, o.Error, want[i])
		}
	}
	if !strings.Contains(err.Error(), "main.hcl:5,3: Step failed: train.a failed (user): it died") {
		t.Errorf("error %q", err)
	}
}
