package runner_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func TestTwoAppliesAtOnce(t *testing.T) {
	h := newHouse(t)
	release := make(chan struct{})
	h.exec.play = stepwise(release)
	p := h.pipeline(train("a"))
	first, second := h.plan(p, runner.PlanOptions{}), h.plan(p, runner.PlanOptions{})
	var told notices
	done := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), first, runner.ApplyOptions{Observer: &told})
		done <- err
	}()
	told.wait(t, runner.NoticeStepEvent)

	_, err := h.Apply(t.Context(), second, runner.ApplyOptions{})
	wantCode(t, err, pipelines.CodeLocked)
	var locked *runner.LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() || locked.Holder.Operation != "apply" {
		t.Errorf("error %v does not name the holder", err)
	}
	// One that waits gets the lock, and finds that the state has moved on.
	var waiter notices
	late := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), second, runner.ApplyOptions{LockTimeout: 10 * time.Second, Observer: &waiter})
		late <- err
	}()
	waiter.wait(t, runner.NoticeLockWaiting)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-late, pipelines.CodeStale)
	if h.exec.started() != 1 {
		t.Errorf("%d attempts", h.exec.started())
	}
}

func TestDeadHolderIsTakenOver(t *testing.T) {
	h := newHouse(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Skip("no command `true` on this machine")
	}
	holder := runner.NewHolder("apply")
	holder.ID, holder.PID, holder.User = "old", gone.Process.Pid, "ada"
	if err := h.Store.Lock(t.Context(), "flowers", holder); err != nil {
		t.Fatal(err)
	}
	var told notices
	p := h.pipeline(train("a"))
	if _, err := h.Apply(t.Context(), h.plan(p, runner.PlanOptions{}), runner.ApplyOptions{Observer: &told}); err != nil {
		t.Fatal(err)
	}
	told.wait(t, runner.NoticeLockTakenOver)
	if !strings.Contains(told.list[0].Message, "ada@") {
		t.Errorf("notice %q does not name the dead holder", told.list[0].Message)
	}
}

func TestHolderGone(t *testing.T) {
	me := runner.NewHolder("apply")
	if me.StartTime == "" {
		t.Skip("this system does not tell when processes started")
	}
	change := func(do func(*runner.LockHolder)) runner.LockHolder { h := me; do(&h); return h }
	for _, tt := range []struct {
		name   string
		holder runner.LockHolder
		want   bool
	}{
		{"this process", me, false},
		{"its pid, started at another time", change(func(h *runner.LockHolder) { h.StartTime = "1" }), true},
		{"another boot", change(func(h *runner.LockHolder) { h.BootID = "x" }), true},
		{"another host", change(func(h *runner.LockHolder) { h.Host, h.PID = "elsewhere", 1<<30 }), false},
		{"no such process", change(func(h *runner.LockHolder) { h.PID = 1 << 30 }), true},
	} {
		if got := runner.HolderGone(tt.holder); got != tt.want {
			t.Errorf("%s: gone %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Locally one training runs at a time, whichever pipeline it belongs to.
func TestOneTrainingPerMachine(t *testing.T) {
	h := newHouse(t)
	busy, most := make(chan int, 100), 0
	running := make(chan int, 1)
	running <- 0
	h.exec.play = func(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		n := <-running + 1
		running <- n
		busy <- n
		defer func() { running <- <-running - 1 }()
		time.Sleep(5 * time.Millisecond)
		return trainWell(ctx, job, emit)
	}
	p, q := h.pipeline(train("a"), train2("b")), h.pipeline(train("c"), train2("d"))
	q.Name = "other"
	for i := range q.Steps { // other content keys than p's
		resolve := q.Steps[i].Resolve
		q.Steps[i].Resolve = func(r pipelines.Results) (pipelines.Spec, error) {
			s, err := resolve(r)
			s.Train.Seed += 100
			return s, err
		}
	}
	plan := h.plan(q, runner.PlanOptions{})
	done := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), plan, runner.ApplyOptions{})
		done <- err
	}()
	h.mustApply(p)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for len(busy) > 0 {
		most = max(most, <-busy)
	}
	if most != 1 || h.exec.started() != 4 {
		t.Errorf("%d trainings at once, %d in all; want 1 and 4", most, h.exec.started())
	}
}
