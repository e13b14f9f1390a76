package storetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testApplies(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	a := pipelines.Apply{ID: "a1", Pipeline: "p", Status: pipelines.StatusRunning, Started: clock, Version: "0.1"}
	ok(t, s.CreateApply(ctx, a))
	wantCode(t, s.CreateApply(ctx, a), pipelines.CodeConflict)
	a.Status, a.Ended = pipelines.StatusCompleted, clock
	ok(t, s.UpdateApply(ctx, a))
	wantCode(t, s.UpdateApply(ctx, pipelines.Apply{ID: "none"}), pipelines.CodeNotFound)
}

func testRuns(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	r := pipelines.Run{
		ID: "r1", Pipeline: "p", Address: `train.a["x=1"]`, ApplyID: "a1", ContentKey: "k", Status: pipelines.StatusPending, Kind: pipelines.KindTrain,
		Adapter: "native", Model: "resnet18", TaskType: "image_classification", Parent: "r0", Inputs: []byte(`{"epochs":3}`),
		Dir: "/tmp/ü b", Executor: "local", Created: clock, Started: clock,
	}
	filed := must(s.CreateRun(ctx, r))(t)
	if filed.JobID < 1 {
		t.Errorf("job id %d", filed.JobID)
	}
	_, err := s.CreateRun(ctx, r)
	wantCode(t, err, pipelines.CodeConflict)
	filed.Status, filed.Ended, filed.Attempts = pipelines.StatusCompleted, clock, 2
	filed.Result = &pipelines.Result{RunID: "r1", Metrics: map[string]float64{"accuracy": 0.5}, Best: &pipelines.Checkpoint{Name: "best", Epoch: 2}}
	ok(t, s.UpdateRun(ctx, filed))
	for name, got := range map[string]pipelines.Run{"by id": must(open(t).Run(ctx, "r1"))(t), "by job": must(s.RunByJob(ctx, filed.JobID))(t)} {
		if !reflect.DeepEqual(got, filed) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, filed)
		}
	}
	_, err = s.Run(ctx, "none")
	wantCode(t, err, pipelines.CodeNotFound)
	_, err = s.RunByJob(ctx, 99)
	wantCode(t, err, pipelines.CodeNotFound)
	wantCode(t, s.UpdateRun(ctx, pipelines.Run{ID: "none"}), pipelines.CodeNotFound)

	// What a step reported is not undone by a writer that read the run before.
	must(s.AppendEvents(ctx, "r1", []pipelines.Event{event(1, 1, pipelines.Event{Progress: &pipelines.Progress{Epoch: 2, Epochs: 3}})}))(t)
	ok(t, s.UpdateRun(ctx, filed))
	if got := must(s.Run(ctx, "r1"))(t); got.Progress == nil || got.Progress.Epoch != 2 {
		t.Errorf("progress after an update of the run: %+v", got.Progress)
	}
}

func testRunFilters(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	ok(t, s.CreateApply(ctx, pipelines.Apply{ID: "x", Pipeline: "p", Commit: "c1", Branch: "main"}))
	ok(t, s.CreateApply(ctx, pipelines.Apply{ID: "y", Pipeline: "q", Commit: "c2", Branch: "main"}))
	for _, r := range []pipelines.Run{
		{ID: "1", Pipeline: "p", Address: "train.a", ContentKey: "k1", Status: pipelines.StatusCompleted, ApplyID: "x"},
		{ID: "2", Pipeline: "p", Address: "train.b", ContentKey: "k2", Status: pipelines.StatusFailed, ApplyID: "x"},
		{ID: "3", Pipeline: "q", Address: "train.a", ContentKey: "k1", Status: pipelines.StatusCompleted, ApplyID: "y"},
		{ID: "4", Pipeline: "p", Address: "train.a", ContentKey: "k3", Status: pipelines.StatusPending, ApplyID: "z"},
	} {
		must(s.CreateRun(ctx, r))(t)
	}
	for _, c := range []struct {
		filter runner.RunFilter
		want   string
	}{
		{runner.RunFilter{}, "4321"},
		{runner.RunFilter{Pipeline: "p"}, "421"},
		{runner.RunFilter{Pipeline: "p", Address: "train.a"}, "41"},
		{runner.RunFilter{ContentKey: "k1"}, "31"},
		{runner.RunFilter{Status: pipelines.StatusFailed}, "2"},
		{runner.RunFilter{ApplyID: "y"}, "3"},
		{runner.RunFilter{Commit: "c1"}, "21"},
		{runner.RunFilter{Branch: "main"}, "321"},
		{runner.RunFilter{Branch: "main", Commit: "c2", Pipeline: "q"}, "3"},
		{runner.RunFilter{Newest: true}, "432"},
		{runner.RunFilter{Newest: true, Commit: "c1"}, "21"},
		{runner.RunFilter{Newest: true, Limit: 1, Offset: 1}, "3"},
		{runner.RunFilter{Limit: 1, Offset: 1}, "3"},
		{runner.RunFilter{Pipeline: "' OR 1=1 --"}, ""},
	} {
		got := ""
		for _, r := range must(s.Runs(ctx, c.filter))(t) {
			got += r.ID
		}
		if got != c.want {
			t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
		}
	}
}

func testAttempts(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	newRun(t, s, "r")
	a := pipelines.Attempt{RunID: "r", Number: 1, Status: pipelines.StatusRunning, Dir: "d", Executor: "local", Handle: "12", Started: clock}
	ok(t, s.CreateAttempt(ctx, a))
	wantCode(t, s.CreateAttempt(ctx, a), pipelines.CodeConflict)
	wantCode(t, s.CreateAttempt(ctx, pipelines.Attempt{RunID: "none", Number: 1}), pipelines.CodeNotFound)
	wantCode(t, s.UpdateAttempt(ctx, pipelines.Attempt{RunID: "r", Number: 9}), pipelines.CodeNotFound)
	ok(t, s.CreateAttempt(ctx, pipelines.Attempt{RunID: "r", Number: 2}))
	applied := &pipelines.ConfigApplied{Values: map[string]any{"optimizer.type": "adam"}, Proof: "objects"}
	must(s.AppendEvents(ctx, "r", []pipelines.Event{event(1, 1, pipelines.Event{ConfigApplied: applied})}))(t)
	a.Status, a.Cause, a.Error, a.ExitCode, a.Ended = pipelines.StatusFailed, pipelines.CauseOOM, "no memory", 137, clock
	ok(t, s.UpdateAttempt(ctx, a))
	a.Applied = applied
	got := must(s.Attempts(ctx, "r"))(t)
	if len(got) != 2 || !reflect.DeepEqual(got[0], a) || got[1].Number != 2 {
		t.Errorf("got %+v\nwant first %+v", got, a)
	}
}

func testSerial(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	serial := func() int64 { t.Helper(); return must(s.Serial(ctx, "p"))(t) }
	if serial() != 0 {
		t.Error("a new pipeline's serial is not 0")
	}
	r := newRun(t, s, "r")
	if serial() != 0 {
		t.Error("a run that only started moved the serial")
	}
	r.Status = pipelines.StatusCompleted
	ok(t, s.UpdateRun(ctx, r))
	ok(t, s.UpdateRun(ctx, r))
	if serial() != 1 {
		t.Errorf("after one completed run: %d", serial())
	}
	ok(t, s.Rename(ctx, "p", "train.none", "train.c"))
	if serial() != 1 {
		t.Error("a move of nothing moved the serial")
	}
	ok(t, s.Rename(ctx, "p", "train.a", "train.b"))
	if got := must(s.Run(ctx, "r"))(t); serial() != 2 || got.Address != "train.b" {
		t.Errorf("after a move: serial %d, address %s", serial(), got.Address)
	}
}

func testSource(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	if got := must(s.Source(ctx, "p"))(t); got != "" {
		t.Errorf("the source of a new pipeline is %q", got)
	}
	ok(t, s.SetSource(ctx, "p", "folder /a"))
	ok(t, s.SetSource(ctx, "p", "folder /b"))
	ok(t, s.SetSource(ctx, "q", "folder /c"))
	if got := must(open(t).Source(ctx, "p"))(t); got != "folder /b" {
		t.Errorf("got %q, want the last one that was set", got)
	}
}

func testOutputs(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	ok(t, s.SetOutputs(ctx, "p", map[string]runner.OutputValue{"old": {Value: "x"}}))
	want := map[string]runner.OutputValue{"n": {Value: 0.5}, "l": {Value: []any{"a", true}}, "o": {Value: map[string]any{"k": "v"}}, "s": {Sensitive: true}}
	ok(t, s.SetOutputs(ctx, "p", map[string]runner.OutputValue{"n": want["n"], "l": want["l"], "o": want["o"], "s": {Value: "secret", Sensitive: true}}))
	if got := must(s.Outputs(ctx, "p"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := must(s.Outputs(ctx, "q"))(t); len(got) != 0 {
		t.Errorf("another pipeline has %v", got)
	}
}

func holder(id string) runner.LockHolder {
	h := runner.NewHolder("apply")
	h.ID, h.Created = id, clock
	return h
}

func testLock(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	if _, held, err := s.LockHolder(ctx, "p"); held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	wantCode(t, s.Unlock(ctx, "p", "x"), pipelines.CodeNotFound)
	ok(t, s.Lock(ctx, "p", holder("one")))
	err := open(t).Lock(ctx, "p", holder("two"))
	wantCode(t, err, pipelines.CodeLocked)
	var locked *runner.LockedError
	if !errors.As(err, &locked) || !reflect.DeepEqual(locked.Holder, holder("one")) || locked.Pipeline != "p" {
		t.Errorf("the error does not name the holder: %+v", locked)
	}
	ok(t, s.Lock(ctx, "other", holder("two")))
	wantCode(t, s.Unlock(ctx, "p", "two"), pipelines.CodeConflict)
	if h, held, err := s.LockHolder(ctx, "p"); !held || err != nil || h.ID != "one" {
		t.Errorf("holder %+v, %v, %v", h, held, err)
	}
	ok(t, s.Unlock(ctx, "p", "one"))
	ok(t, s.Lock(ctx, "p", holder("two")))
}

func testLockRace(t *testing.T, open Open) {
	ctx := context.Background()
	stores := []runner.Store{open(t), open(t), open(t), open(t)}
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { errs[i] = stores[i%len(stores)].Lock(ctx, "p", holder(string(rune('a'+i)))) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantCode(t, err, pipelines.CodeLocked)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d took the lock", won, len(errs))
	}
}

func testSlots(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	acquire := func(h runner.LockHolder) (int, bool) {
		t.Helper()
		slot, got, err := s.AcquireSlot(ctx, "host/cpu", 2, h)
		ok(t, err)
		return slot, got
	}
	dead := holder("dead")
	dead.StartTime, dead.PID = "1", 1<<30
	if slot, got := acquire(dead); slot != 0 || !got {
		t.Fatal(slot, got)
	}
	for want, id := range []string{"a", "b"} { // slot 0 is taken over: its holder is gone
		if slot, got := acquire(holder(id)); slot != want || !got {
			t.Errorf("slot %d, %v; want %d", slot, got, want)
		}
	}
	if _, got := acquire(holder("c")); got {
		t.Error("a third lease of two slots")
	}
	ok(t, s.ReleaseSlot(ctx, "host/cpu", 0, "dead")) // not its slot any more
	if _, got := acquire(holder("c")); got {
		t.Error("the former holder gave away another's slot")
	}
	ok(t, s.ReleaseSlot(ctx, "host/cpu", 0, "a"))
	if slot, got := acquire(holder("c")); slot != 0 || !got {
		t.Error("a released slot is not free")
	}
}
