package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// RunState is what is true of a run now, which the store alone cannot know.
type RunState string

const (
	RunLive        RunState = "live"        // an attempt's process is alive
	RunInterrupted RunState = "interrupted" // not ended, and nothing works on it: `resume` or `apply` continue it
	RunUnknown     RunState = "unknown"     // its executor cannot tell
	RunEnded       RunState = "ended"
)

// statesAtOnce is how many executors are asked at once: one may be a network away.
const statesAtOnce = 4

// States looks at runs' processes, by run id. A run whose executor cannot tell
// is RunUnknown.
func (a *Applier) States(ctx context.Context, standings []Standing) map[string]RunState {
	states := make(map[string]RunState, len(standings))
	var mu sync.Mutex
	var asking errgroup.Group // whose functions do not fail
	asking.SetLimit(statesAtOnce)
	for _, s := range standings {
		switch {
		case s.Run.Status.Ended():
			states[s.Run.ID] = RunEnded
		case s.Open == nil:
			states[s.Run.ID] = RunInterrupted
		default:
			asking.Go(func() error {
				state := RunUnknown
				if exec, err := a.Executor(executorOf(s.Run)); err == nil {
					state = probe(ctx, exec, *s.Open)
				}
				mu.Lock()
				defer mu.Unlock()
				states[s.Run.ID] = state
				return nil
			})
		}
	}
	_ = asking.Wait()
	return states
}

// State looks at one run's processes.
func (a *Applier) State(ctx context.Context, run pipelines.Run) (RunState, error) {
	if run.Status.Ended() {
		return RunEnded, nil
	}
	at, exec, err := a.open(ctx, run)
	if err != nil {
		return RunUnknown, err
	}
	if at == nil {
		return RunInterrupted, nil
	}
	return probe(ctx, exec, *at), nil
}

// probe is the state of a run by its open attempt.
func probe(ctx context.Context, exec Executor, at pipelines.Attempt) RunState {
	live, err := exec.Probe(ctx, at)
	switch {
	case err != nil:
		return RunUnknown
	case live == Alive:
		return RunLive
	case live == Ended:
		return RunInterrupted
	}
	return RunUnknown
}

// open finds a run's attempt that has not ended, and its executor.
func (a *Applier) open(ctx context.Context, run pipelines.Run) (*pipelines.Attempt, Executor, error) {
	exec, err := a.Executor(executorOf(run))
	if err != nil {
		return nil, nil, err
	}
	attempts, err := a.Store.Attempts(ctx, run.ID)
	if err != nil {
		return nil, nil, err
	}
	for i := range attempts {
		if !attempts[i].Status.Ended() {
			return &attempts[i], exec, nil
		}
	}
	return nil, exec, nil
}

// executorOf is the executor block of a run, as far as the run names it.
func executorOf(run pipelines.Run) pipelines.ExecutorConfig {
	cfg := pipelines.ExecutorConfig{Address: pipelines.Address(run.Executor)}
	if parts := strings.SplitN(run.Executor, ".", 3); len(parts) == 3 { // executor.TYPE.NAME
		cfg.Type, cfg.Name = parts[1], parts[2]
	}
	return cfg
}

// Cancel stops a live run: its step writes a checkpoint and ends. It returns
// once the run has ended; a run that has ended already is an error of code conflict.
func (a *Applier) Cancel(ctx context.Context, run pipelines.Run) error {
	if run.Status.Ended() {
		return pipelines.Errorf(pipelines.CodeConflict, "run %s has ended already (%s)", run.ID, run.Status)
	}
	at, exec, err := a.open(ctx, run)
	if err != nil {
		return err
	}
	if err := a.stopAttempt(ctx, at, exec); err != nil {
		return err
	}
	return a.settle(ctx, run, at, exec)
}

// stopAttempt stops an attempt, if there is one. Whoever follows it learns
// from a mark that its end was asked for.
func (a *Applier) stopAttempt(ctx context.Context, at *pipelines.Attempt, exec Executor) error {
	if at == nil {
		return nil
	}
	task, err := spool.ReadTask(filepath.Join(at.Dir, spool.TaskFile))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(at.Dir, cancelMark), nil, 0o644); err != nil {
		return err
	}
	return exec.Cancel(ctx, Job{Task: task, Grace: a.grace()})
}

// retire stops what an earlier apply left at work at an address, before a
// new run takes its place: nobody wants its result any more. It returns how
// many runs it stopped. The caller holds the state lock.
func (a *Applier) retire(ctx context.Context, pipeline string, address pipelines.Address, tell func(Notice)) (stopped int, err error) {
	for _, status := range []pipelines.Status{pipelines.StatusRunning, pipelines.StatusPending} {
		runs, err := a.Store.Runs(ctx, RunFilter{Pipeline: pipeline, Address: address, Status: status})
		if err != nil {
			return stopped, err
		}
		for _, run := range runs {
			stopped++
			tell(Notice{Type: NoticeStepWaiting, Message: fmt.Sprintf("stopping run %s, which is out of date", run.ID)})
			at, exec, err := a.open(ctx, run)
			if err == nil {
				err = a.stopAttempt(ctx, at, exec)
			}
			if err == nil {
				err = a.fileEnd(ctx, run, at, exec)
			}
			if err != nil {
				return stopped, fmt.Errorf("run %s of %s, which is out of date, may still be at work and could not be stopped: %w", run.ID, address, err)
			}
		}
	}
	return stopped, nil
}

// settle waits until an apply at work has filed the run's end, or files it
// itself when there is none.
func (a *Applier) settle(ctx context.Context, run pipelines.Run, at *pipelines.Attempt, exec Executor) error {
	for {
		now, err := a.Store.Run(ctx, run.ID)
		if err != nil || now.Status.Ended() {
			return err
		}
		unlock, err := a.lock(ctx, run.Pipeline, ApplyOptions{Operation: "cancel"}, func(Notice) {})
		if err == nil {
			return errors.Join(a.fileEnd(ctx, now, at, exec), unlock())
		}
		if pipelines.CodeOf(err) != pipelines.CodeLocked {
			return err
		}
		if !Sleep(ctx, a.poll()) {
			return pipelines.Errorf(pipelines.CodeCancelled, "run %s was asked to stop, and may still be at it", run.ID)
		}
	}
}

// fileEnd brings the rest of an attempt's events home and files its end.
func (a *Applier) fileEnd(ctx context.Context, run pipelines.Run, at *pipelines.Attempt, exec Executor) error {
	step := pipelines.Step{Address: run.Address, Kind: run.Kind, Adapter: run.Adapter}
	spec := pipelines.Spec{Address: run.Address, Kind: run.Kind, Adapter: run.Adapter, Train: &pipelines.TrainSpec{}}
	s := &stepRun{a: a, exec: exec, run: run, observe: func(Notice) {},
		dec: &decision{PlannedStep: PlannedStep{Address: run.Address, Kind: run.Kind}, step: step, spec: spec}}
	if at != nil && !exists(filepath.Join(at.Dir, spool.LockFile)) { // it never started, and shall not now
		at.Status, at.Error, at.Ended = pipelines.StatusCancelled, "cancelled", a.now()
		if err := a.Store.UpdateAttempt(ctx, *at); err != nil {
			return err
		}
		at = nil
	}
	if at == nil {
		return s.close(ctx, ending{status: pipelines.StatusCancelled, err: "cancelled"}, nil)
	}
	end, err := s.attempt(ctx, at.Number, at)
	if err != nil {
		return err
	}
	return s.close(ctx, end, end.result)
}
