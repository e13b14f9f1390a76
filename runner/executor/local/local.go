// Package local runs steps as processes of this machine.
//
// A step is a process session of its own, so that Ctrl-C in the runner's
// terminal does not reach it; it writes its output to a file and its events
// to the spool, so that it outlives the runner; and it holds the lock of its
// attempt folder, so that any later runner can tell whether it lives and
// follow it. Beside the spool's files the attempt folder has process.json
// (who runs), stop.json (who asked it to stop, and why) and exit.json (how it
// ended, as its parent saw it).
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// Executor runs attempts on this machine. The zero value is ready for use,
// and one may be used from several goroutines.
type Executor struct {
	// Poll is how often spool and lock are looked at; 0 = 50 ms.
	Poll time.Duration
	// Environ is what steps inherit; nil = this process's environment. The
	// runner's own secrets (tokens, the store's address, RUNNER_VAR_…) are never passed on.
	Environ []string
}

var _ runner.Executor = (*Executor)(nil)

func (e *Executor) poll() time.Duration {
	if e.Poll > 0 {
		return e.Poll
	}
	return 50 * time.Millisecond
}

// Run starts the attempt in job.Task.AttemptDir and follows it to its end. A
// live one is adopted. One that has run already is not started again: its
// events are fed once more and its end is told from what it left. The
// timeout counts from the start of the attempt, whoever started it.
func (e *Executor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	dir := job.Task.AttemptDir
	if !filepath.IsAbs(dir) {
		return runner.Exit{}, pipelines.Errorf(pipelines.CodeInvalid, "the attempt folder %q of %s is not absolute", dir, job.Task.Address)
	}
	if err := ensureTask(job.Task); err != nil {
		return runner.Exit{}, err
	}
	ended, err := e.ensureStarted(ctx, job)
	var start *startError
	if errors.As(err, &start) {
		return runner.Exit{Code: 127, Cause: pipelines.CauseConfig, Message: start.Error()}, nil
	}
	if err != nil {
		return runner.Exit{}, err
	}

	stopTimer := e.enforceTimeout(ctx, job)
	defer stopTimer()
	w := watch{redact: runner.NewRedactor(job.Secrets)}
	r := spool.NewReader(filepath.Join(dir, spool.EventsFile), job.Task.Attempt, 0)
	err = r.Tail(ctx, e.poll(), ended, func(events []pipelines.Event) error {
		return sink(ctx, w.see(events))
	}, w.bad)
	if err != nil {
		return runner.Exit{}, fmt.Errorf("follow attempt %d of %s: %w", job.Task.Attempt, job.Task.Address, err)
	}
	e.awaitExit(ctx, dir)
	return w.exit(dir, job), nil
}

// Cancel asks the step to stop (SIGTERM to its process group), kills the
// group after job.Grace, and returns once it is gone. It works from any
// process on this machine. An attempt that does not live is left alone.
func (e *Executor) Cancel(ctx context.Context, job runner.Job) error {
	return e.stop(ctx, job.Task.AttemptDir, stopCancel, job.Grace)
}

// Probe tells by the attempt's lock whether it lives. A free lock is positive
// evidence, if the attempt ran under this kernel or under an earlier boot of
// this machine.
func (e *Executor) Probe(_ context.Context, a pipelines.Attempt) (runner.Liveness, error) {
	held, err := spool.Held(a.Dir)
	if err != nil {
		return runner.Unknown, err
	}
	if held {
		return runner.Alive, nil
	}
	if _, err := os.Stat(a.Dir); err != nil {
		// The folder is made before the process. If even the run's folder is
		// away, this may be a disk that is not mounted.
		if _, err := os.Stat(filepath.Dir(filepath.Dir(a.Dir))); err != nil {
			return runner.Unknown, fmt.Errorf("the folder of attempt %d of run %s is not there: %w", a.Number, a.RunID, err)
		}
		return runner.Ended, nil
	}
	rec, ok, err := readRecord(a.Dir)
	if err != nil {
		return runner.Unknown, err
	}
	if ok && rec.elsewhere() {
		return runner.Unknown, fmt.Errorf("attempt %d of run %s was started on host %s", a.Number, a.RunID, rec.Process.Host)
	}
	return runner.Ended, nil
}

func ensureTask(task pipelines.Task) error {
	if _, err := os.Stat(filepath.Join(task.AttemptDir, spool.TaskFile)); err == nil {
		return nil
	}
	_, err := spool.WriteTask(task)
	return err
}
