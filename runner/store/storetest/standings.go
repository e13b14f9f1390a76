package storetest

import (
	"context"
	"reflect"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testStandings(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	best := func(attempt int, seq, step int64, accuracy float64) pipelines.Event {
		return event(attempt, seq, pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "best", GlobalStep: step, Metrics: map[string]float64{"accuracy": accuracy}}})
	}
	newRun(t, s, "new")

	// It failed once and goes on: what its first attempt saved beyond the place
	// where the second began is gone, and so is its best one.
	live := newRun(t, s, "live")
	live.Status = pipelines.StatusRunning
	ok(t, s.UpdateRun(ctx, live))
	first := pipelines.Attempt{RunID: "live", Number: 1, Status: pipelines.StatusFailed, Handle: "1", Started: clock}
	second := pipelines.Attempt{RunID: "live", Number: 2, Status: pipelines.StatusRunning, Dir: "d", Executor: "local", Handle: "2", Started: clock}
	for _, at := range []pipelines.Attempt{first, second, {RunID: "live", Number: 3, Status: pipelines.StatusPending}} {
		ok(t, s.CreateAttempt(ctx, at))
	}
	must(s.AppendEvents(ctx, "live", []pipelines.Event{best(1, 1, 2, 0.5), metric(1, 2, 2, 1), best(1, 3, 4, 0.9)}))(t)
	must(s.AppendEvents(ctx, "live", []pipelines.Event{resumed(2, 1, 2)}))(t)

	// The result of a run that has ended is what counts, and no attempt of it is open.
	done := newRun(t, s, "done")
	done.Status, done.Result = pipelines.StatusCompleted, &pipelines.Result{RunID: "done", Metrics: map[string]float64{"accuracy": 1}}
	ok(t, s.UpdateRun(ctx, done))
	ok(t, s.CreateAttempt(ctx, pipelines.Attempt{RunID: "done", Number: 1, Status: pipelines.StatusRunning}))
	must(s.AppendEvents(ctx, "done", []pipelines.Event{best(1, 1, 2, 0.25)}))(t)

	got := must(s.Standings(ctx, runner.RunFilter{}))(t)
	var ids []string
	for _, st := range got {
		ids = append(ids, st.Run.ID)
		if run := must(s.Run(ctx, st.Run.ID))(t); !reflect.DeepEqual(st.Run, run) {
			t.Errorf("run %+v\nwant %+v", st.Run, run)
		}
	}
	if !reflect.DeepEqual(ids, []string{"done", "live", "new"}) {
		t.Fatalf("runs %v", ids)
	}
	if st := got[0]; st.Open != nil || st.Metrics()["accuracy"] != 1 {
		t.Errorf("the completed run: %+v", st)
	}
	if st := got[1]; st.Open == nil || !reflect.DeepEqual(*st.Open, second) || st.Best.RunID != "live" || st.Metrics()["accuracy"] != 0.5 {
		t.Errorf("the running one: %+v, open %+v", st, st.Open)
	}
	if st := got[2]; st.Open != nil || st.Metrics() != nil {
		t.Errorf("the new one: %+v", st)
	}
	if got := must(s.Standings(ctx, runner.RunFilter{Status: pipelines.StatusRunning, Limit: 1}))(t); len(got) != 1 || got[0].Run.ID != "live" {
		t.Errorf("the running ones: %+v", got)
	}
}
