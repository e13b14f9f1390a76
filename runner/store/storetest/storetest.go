// Package storetest is the suite that every runner.Store passes.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Open returns a store on the same state each time it is called within one
// test t, as several processes would have it, and closes it when t ends.
type Open func(t *testing.T) runner.Store

// Run runs the suite. open gives the Open of one test, with empty state.
func Run(t *testing.T, open func(t *testing.T) Open) {
	tests := []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Applies", testApplies},
		{"Runs", testRuns},
		{"RunFilters", testRunFilters},
		{"Attempts", testAttempts},
		{"Standings", testStandings},
		{"Reports", testReports},
		{"Serial", testSerial},
		{"Source", testSource},
		{"Outputs", testOutputs},
		{"Lock", testLock},
		{"LockRace", testLockRace},
		{"Slots", testSlots},
		{"EventsOnce", testEventsOnce},
		{"EventsRows", testEventsRows},
		{"NotFinite", testNotFinite},
		{"Superseded", testSuperseded},
		{"AnyOrder", testAnyOrder},
		{"DownSample", testDownSample},
		{"LongCurves", testLongCurves},
		{"HostileText", testHostileText},
		{"Concurrent", testConcurrent},
		{"Tokens", testTokens},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

var clock = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code pipelines.Code) {
	t.Helper()
	if pipelines.CodeOf(err) != code {
		t.Errorf("got error %v with code %q, want code %q", err, pipelines.CodeOf(err), code)
	}
}

func newRun(t *testing.T, s runner.Store, id string) pipelines.Run {
	t.Helper()
	return must(s.CreateRun(context.Background(), pipelines.Run{
		ID: id, Pipeline: "p", Address: "train.a", ApplyID: "a1", ContentKey: "key", Status: pipelines.StatusRunning,
		Kind: pipelines.KindTrain, Inputs: []byte(`{"a":1}`), Created: clock,
	}))(t)
}

// event makes an event whose payload is set by its pointers.
func event(attempt int, seq int64, e pipelines.Event) pipelines.Event {
	e.Version, e.Attempt, e.Seq, e.Time = 1, attempt, seq, clock.Add(time.Duration(seq)*time.Second)
	switch {
	case e.ConfigApplied != nil:
		e.Type = pipelines.EventConfigApplied
	case e.Resumed != nil:
		e.Type = pipelines.EventResumed
	case e.Progress != nil:
		e.Type = pipelines.EventProgress
	case e.Metrics != nil:
		e.Type = pipelines.EventMetrics
	case e.Validation != nil:
		e.Type = pipelines.EventValidation
	case e.Checkpoint != nil:
		e.Type = pipelines.EventCheckpoint
	case e.Message != nil:
		e.Type = pipelines.EventMessage
	case e.Result != nil:
		e.Type = pipelines.EventResult
	}
	return e
}

func metric(attempt int, seq, step int64, value float64) pipelines.Event {
	return event(attempt, seq, pipelines.Event{Metrics: &pipelines.Metrics{
		Epoch: int(step/10) + 1, GlobalStep: step, Split: "train", Values: map[string]float64{"loss": value},
	}})
}

func resumed(attempt int, seq, step int64) pipelines.Event {
	return event(attempt, seq, pipelines.Event{Resumed: &pipelines.Resumed{Checkpoint: "c", Epoch: int(step / 10), GlobalStep: step}})
}

// visible prints what a user sees of a run's metrics.
func visible(t *testing.T, s runner.Store, runID string) []string {
	t.Helper()
	rows := must(s.Metrics(context.Background(), runner.MetricFilter{RunID: runID}))(t)
	out := []string{}
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%s/%s/%s@%d.%d=%v#%d", r.Name, r.Split, r.Class, r.Epoch, r.GlobalStep, r.Value, r.Attempt))
	}
	return out
}
