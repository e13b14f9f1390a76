package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// crashing stands for a runner that dies: from some moment on it can neither
// file anything nor follow its steps, which go on without it.
type crashing struct {
	runner.Store
	dead chan struct{}
}

func (s crashing) AppendEvents(ctx context.Context, run string, e []pipelines.Event) (int, error) {
	select {
	case <-s.dead:
		return 0, pipelines.Errorf(pipelines.CodeConflict, "this runner is dead")
	default:
		return s.Store.AppendEvents(ctx, run, e)
	}
}

// crash applies p with a runner that dies once the step has begun.
func crash(t *testing.T, h *house, p *pipelines.Pipeline, release chan struct{}) {
	t.Helper()
	dying := *h
	dead := make(chan struct{})
	dying.Store = crashing{h.Store, dead}
	var told notices
	plan := dying.plan(p, runner.PlanOptions{})
	done := make(chan error)
	go func() {
		_, err := dying.Apply(context.Background(), plan, runner.ApplyOptions{Observer: &told})
		done <- err
	}()
	told.wait(t, runner.NoticeStepEvent)
	close(dead)
	release <- struct{}{} // the next event meets the dead runner
	if err := <-done; err == nil {
		t.Fatal("the dying apply succeeded")
	}
}

// stepwise trains an epoch each time it is released and ends when the channel is closed.
func stepwise(release chan struct{}) script {
	return func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
		for epoch := 1; ; epoch++ {
			select {
			case _, more := <-release:
				if !more {
					emit(completed(job.Task))
					return runner.Exit{}
				}
			case <-ctx.Done():
				return runner.Exit{Code: 130}
			}
			emit(pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: epoch, GlobalStep: int64(epoch), Split: "train", Values: map[string]float64{"loss": 1}}})
		}
	}
}

func TestAdoptLiveAttempt(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	p := h.pipeline(train("a"))
	crash(t, h, p, release)

	if s := h.step(p, "train.a"); s.Action != runner.ActionResume || s.Reason != "its last run works still and is followed" || s.Attempt != 1 {
		t.Errorf("planned %s of attempt %d: %s", s.Action, s.Attempt, s.Reason)
	}
	runs, _ := h.Store.Runs(t.Context(), runner.RunFilter{})
	if state, err := h.State(t.Context(), runs[0]); state != runner.RunLive || err != nil {
		t.Errorf("state %s, %v; want live", state, err)
	}
	var told notices
	h.exec.unknown = 2 // what cannot be told is waited for, not treated as dead
	plan := h.plan(p, runner.PlanOptions{})
	go func() {
		release <- struct{}{}
		close(release)
	}()
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{Observer: &told})
	if err != nil {
		t.Fatal(err)
	}
	told.wait(t, runner.NoticeStepAdopted)
	if h.exec.started() != 1 || res.Steps[0].Attempts != 1 {
		t.Errorf("%d attempts were started, want the one that lived", h.exec.started())
	}
	rows, err := h.Store.Metrics(t.Context(), runner.MetricFilter{RunID: res.Steps[0].RunID})
	if err != nil || len(rows) != 2 {
		t.Errorf("%d metric rows (%v), want the 2 epochs", len(rows), err)
	}
}

// What a step did after its runner died is brought home, not done again.
func TestEndedWithoutRunner(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	p := h.pipeline(train("a"))
	crash(t, h, p, release)
	close(release)
	h.exec.waitEnded(t)

	res := h.mustApply(p)
	if h.exec.started() != 1 || res.Steps[0].Result.Metrics["accuracy"] != 0.8 {
		t.Errorf("%d attempts, result %+v; want the result of the first", h.exec.started(), res.Steps[0].Result)
	}
}

// An attempt that died with its runner is followed by attempt N+1, whatever retry says.
func TestDiedWithRunner(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	p := h.pipeline(train("a"))
	crash(t, h, p, release)
	for _, proc := range h.exec.steps {
		proc.cancel() // killed: no result
	}
	h.exec.waitEnded(t)
	h.exec.play = trainWell
	res := h.mustApply(p)
	if o := res.Steps[0]; o.Attempts != 2 || h.exec.started() != 2 || !h.exec.jobs[1].Task.Resume {
		t.Errorf("outcome %+v after %d attempts, want a resuming attempt 2", o, h.exec.started())
	}
	attempts, _ := h.Store.Attempts(t.Context(), res.Steps[0].RunID)
	if attempts[0].Status != pipelines.StatusFailed || attempts[1].Status != pipelines.StatusCompleted {
		t.Errorf("attempts %s, %s", attempts[0].Status, attempts[1].Status)
	}
}

func TestCancelByContext(t *testing.T) {
	h := newHouse(t)
	h.exec.play = trainUntil
	p := h.pipeline(train("a"), train2("b"))
	ctx, cancel := context.WithCancel(t.Context())
	var told notices
	go func() {
		told.wait(t, runner.NoticeStepEvent)
		cancel()
	}()
	res, err := h.Apply(ctx, h.plan(p, runner.PlanOptions{}), runner.ApplyOptions{Observer: &told})
	wantCode(t, err, pipelines.CodeCancelled)
	if res.Status != pipelines.StatusCancelled || res.Steps[0].Status != pipelines.StatusCancelled || res.Steps[1].Status != pipelines.StatusCancelled {
		t.Errorf("result %+v", res)
	}
	run, err := h.Store.Run(t.Context(), res.Steps[0].RunID)
	if err != nil || run.Status != pipelines.StatusCancelled {
		t.Errorf("run %s, %v", run.Status, err)
	}
	if _, held, _ := h.Store.LockHolder(t.Context(), "flowers"); held {
		t.Error("the lock is still held")
	}
	h.exec.play = trainWell
	wantAction(t, h.step(p, "train.a"), runner.ActionResume)
	if o := h.mustApply(p).Steps[0]; o.RunID != run.ID || o.Attempts != 2 {
		t.Errorf("after the cancel: %+v", o)
	}
}

// cancel from another process: the apply that follows the step files the end.
func TestCancelFromOutside(t *testing.T) {
	h := newHouse(t)
	h.exec.play = trainUntil
	p := h.pipeline(train("a"))
	var told notices
	plan := h.plan(p, runner.PlanOptions{})
	done := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), plan, runner.ApplyOptions{Observer: &told})
		done <- err
	}()
	told.wait(t, runner.NoticeStepEvent)
	runs, _ := h.Store.Runs(t.Context(), runner.RunFilter{})
	if err := h.Cancel(t.Context(), runs[0]); err != nil {
		t.Fatal(err)
	}
	if err := <-done; pipelines.CodeOf(err) != pipelines.CodeCancelled {
		t.Errorf("apply ended with %v", err)
	}
	run, _ := h.Store.Run(t.Context(), runs[0].ID)
	if run.Status != pipelines.StatusCancelled {
		t.Errorf("run is %s", run.Status)
	}
	wantCode(t, h.Cancel(t.Context(), run), pipelines.CodeConflict)
}

// Without an apply at work, cancel files the end itself.
func TestCancelOrphan(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	crash(t, h, h.pipeline(train("a")), release)
	runs, _ := h.Store.Runs(t.Context(), runner.RunFilter{})
	if err := h.Cancel(t.Context(), runs[0]); err != nil {
		t.Fatal(err)
	}
	run, _ := h.Store.Run(t.Context(), runs[0].ID)
	if state, _ := h.State(t.Context(), run); run.Status != pipelines.StatusCancelled || state != runner.RunEnded {
		t.Errorf("run is %s, %s", run.Status, state)
	}
}

// What an earlier apply left at work is stopped when its declaration changed,
// and the checkpoint that it wrote then is the one to go on from.
func TestOutdatedRunIsStopped(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
		emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
		<-release
		emit(pipelines.Event{Type: pipelines.EventProgress, Progress: &pipelines.Progress{Epoch: 2}})
		<-ctx.Done()
		emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 2)})
		return runner.Exit{Code: 130}
	}
	crash(t, h, h.pipeline(train("a")), release)
	h.exec.play = trainWell
	s := train("a")
	s.spec.Train.Epochs = 8
	res := h.mustApply(h.pipeline(s))
	runs, _ := h.Store.Runs(t.Context(), runner.RunFilter{})
	if len(runs) != 2 || runs[1].Status != pipelines.StatusCancelled || res.Steps[0].RunID != runs[0].ID || runs[0].Parent != runs[1].ID {
		t.Errorf("runs %+v", runs)
	}
	if start := h.exec.jobs[1].Task.Train.Start; start == nil || start.Checkpoint.Epoch != 2 {
		t.Errorf("started from %+v, want epoch 2", start)
	}
}

func (e *fakeExecutor) waitEnded(t *testing.T) {
	t.Helper()
	for _, p := range e.steps {
		for range 400 {
			p.mu.Lock()
			ended := p.ended
			p.mu.Unlock()
			if ended {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// A store that is away hurts no training.
func TestStoreAway(t *testing.T) {
	h := newHouse(t)
	away := &flaky{Store: h.Store, fail: 3}
	h.Store = away
	h.mustApply(h.pipeline(train("a")))
	if away.fail != 0 {
		t.Errorf("%d failures left", away.fail)
	}
}

type flaky struct {
	runner.Store
	fail int
}

func (s *flaky) AppendEvents(ctx context.Context, run string, e []pipelines.Event) (int, error) {
	if s.fail > 0 {
		s.fail--
		return 0, errors.New("connection refused")
	}
	return s.Store.AppendEvents(ctx, run, e)
}

// A training that works on after its apply died has the machine to itself,
// until it ends: another pipeline's apply waits.
func TestOrphanKeepsItsSlot(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	crash(t, h, h.pipeline(train("a")), release)

	h.exec.play = trainWell
	other := h.pipeline(train2("b"))
	other.Name = "other"
	plan := h.plan(other, runner.PlanOptions{})
	var told notices
	done := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), plan, runner.ApplyOptions{Observer: &told})
		done <- err
	}()
	told.wait(t, runner.NoticeStepWaiting)
	if got := told.message(runner.NoticeStepWaiting); !strings.Contains(got, `train.a of pipeline "flowers"`) {
		t.Errorf("told %q, want what is waited for", got)
	}
	if h.exec.started() != 1 {
		t.Error("the other training was started beside the one that lives")
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if h.exec.started() != 2 {
		t.Errorf("%d attempts were started, want 2", h.exec.started())
	}
}

// A killed step can look alive for a moment. One that is adopted then, and
// ends without anybody having seen how, is followed by attempt N+1 all the same.
func TestDyingWhenAdopted(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	steps := stepwise(release)
	h.exec.play = func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		if exit := steps(ctx, job, emit); exit.Code == 0 {
			return exit
		}
		return runner.Exit{Code: -1, Cause: pipelines.CauseInfrastructure, Unseen: true}
	}
	p := h.pipeline(train("a"))
	crash(t, h, p, release)
	var told notices
	plan := h.plan(p, runner.PlanOptions{})
	go func() {
		told.wait(t, runner.NoticeStepAdopted)
		h.exec.play = trainWell
		for _, proc := range h.exec.steps {
			proc.cancel()
		}
	}()
	res, err := h.Apply(t.Context(), plan, runner.ApplyOptions{Observer: &told})
	if err != nil {
		t.Fatal(err)
	}
	if o := res.Steps[0]; o.Attempts != 2 || o.Status != pipelines.StatusCompleted {
		t.Errorf("%s after %d attempts, want completed by the second", o.Status, o.Attempts)
	}
}
