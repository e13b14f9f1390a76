package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// lies plays a step that applies something else than it was told.
func lies(change func(*pipelines.ConfigApplied)) script {
	return func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		a := applied(job.Task)
		change(a)
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: a})
		emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
		<-ctx.Done() // the runner must stop it
		return runner.Exit{Code: 130}
	}
}

func TestAppliedConfigProofFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		play    script
		summary string
		detail  string
		line    int
	}{
		{"written field unread", lies(func(a *pipelines.ConfigApplied) { delete(a.Values, "optimizer.weight_decay") }),
			"Setting not applied", "optimizer.weight_decay = 0.05 was read by nobody", 12},
		{"written field different", lies(func(a *pipelines.ConfigApplied) { a.Values["optimizer.weight_decay"] = 0.5 }),
			"Setting applied differently", "optimizer.weight_decay should be 0.05 and is 0.5", 12},
		{"written field unsupported", lies(func(a *pipelines.ConfigApplied) {
			a.Unsupported = map[string]string{"optimizer.weight_decay": "this device has no decay"}
		}), "Setting not supported", "this device has no decay", 12},
		{"attribute different", lies(func(a *pipelines.ConfigApplied) { a.Attributes["batch_size"] = 4 }),
			"Setting applied differently", "batch_size should be 8 and is 4", 11},
		{"attribute unread", lies(func(a *pipelines.ConfigApplied) { delete(a.Attributes, "epochs") }),
			"Setting not applied", "epochs = 4", 10},
		{"nothing reported", func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
			emit(pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Values: map[string]float64{"loss": 1}}})
			emit(completed(job.Task))
			return runner.Exit{}
		}, "Applied config not reported", `sent "metrics" before config_applied`, 0},
		{"only a result", func(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
			emit(completed(job.Task))
			return runner.Exit{}
		}, "Applied config not reported", `sent "result" before`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.exec.play = tt.play
			s := train("a")
			s.retry = pipelines.Retry{Attempts: 3, On: []pipelines.Cause{pipelines.CauseOOM}}
			res, err := h.apply(h.pipeline(s))
			wantCode(t, err, pipelines.CodeStepFailed)
			o := res.Steps[0]
			if o.Cause != pipelines.CauseConfig || h.exec.started() != 1 {
				t.Errorf("cause %q after %d attempts, want config after 1", o.Cause, h.exec.started())
			}
			var ps runner.Problems
			if !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("no problems in %v", err)
			}
			if tt.line > 0 && !strings.Contains(o.Error, at(tt.line).String()+": "+tt.summary) {
				t.Errorf("error %q does not point at line %d", o.Error, tt.line)
			}
			if !strings.Contains(o.Error, tt.detail) {
				t.Errorf("error %q lacks %q", o.Error, tt.detail)
			}
			cs, err := h.Store.Checkpoints(t.Context(), o.RunID)
			if err != nil || len(cs) != 0 {
				t.Errorf("%d checkpoints were announced (%v), want none after a failed proof", len(cs), err)
			}
		})
	}
}

func TestAppliedConfigProofWarns(t *testing.T) {
	h := newHouse(t)
	h.exec.play = func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		a := applied(job.Task)
		a.Values["clip"] = 2.0                                      // from a preset
		delete(a.Values, "label_smoothing")                         // from a default
		a.Values["optimizer.weight_decay"] = float64(float32(0.05)) // read back from float32
		a.Attributes["learning_rate"] = 0.1
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: a})
		emit(completed(job.Task))
		return runner.Exit{}
	}
	var told notices
	_, err := h.Apply(t.Context(), h.plan(h.pipeline(train("a")), runner.PlanOptions{}), runner.ApplyOptions{Observer: &told})
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	for _, n := range told.list {
		if n.Type == runner.NoticeWarning {
			warned = append(warned, n.Problem.Summary)
		}
	}
	if strings.Join(warned, ", ") != "Setting applied differently, Setting not applied" {
		t.Errorf("warnings %v", warned)
	}
	attempts, err := h.Store.Attempts(t.Context(), told.list[len(told.list)-1].Summary.Steps[0].RunID)
	if err != nil || attempts[0].Applied == nil {
		t.Errorf("the applied config is not on file: %+v, %v", attempts, err)
	}
}
