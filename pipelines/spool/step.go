package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/trainwright/trainwright/pipelines"
)

// Exit codes of a step process.
const (
	ExitCompleted = 0
	ExitFailed    = 1
	ExitCancelled = 8
)

// StepFunc is adapters.StepFunc, spelled out because this package imports
// nothing above the nouns.
type StepFunc = func(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error

// RunStep is the life of a step inside a process of its own: it keeps the
// attempt's lock, reads the task, opens the spool, turns SIGTERM and SIGINT
// into the end of the context, runs the step that lookup finds and sees to it
// that the attempt ends with a result. It returns the process's exit code; an
// error that could not be written to the spool is written to standard error.
func RunStep(ctx context.Context, taskPath string, lookup func(pipelines.Task) (StepFunc, error)) int {
	err := runStep(ctx, taskPath, lookup)
	var ended *endedError
	switch {
	case err == nil:
		return ExitCompleted
	case errors.As(err, &ended):
		if ended.state == pipelines.StatusCancelled {
			return ExitCancelled
		}
		return ExitFailed
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	return ExitFailed
}

// endedError is a failure that the spool already tells.
type endedError struct{ state pipelines.Status }

func (e *endedError) Error() string { return string(e.state) }

func runStep(ctx context.Context, taskPath string, lookup func(pipelines.Task) (StepFunc, error)) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	taskPath, err := filepath.Abs(taskPath)
	if err != nil {
		return err
	}
	lock, err := Inherited()
	if err != nil {
		return err
	}
	defer lock.Close()
	task, err := ReadTask(taskPath)
	if err != nil {
		return err
	}
	if lock == nil { // started by hand or by something that passes no descriptors
		var ok bool
		if lock, ok, err = TryLock(task.AttemptDir); err != nil {
			return err
		} else if !ok {
			return pipelines.Errorf(pipelines.CodeLocked, "attempt %d of %s is already running in %s", task.Attempt, task.Address, task.AttemptDir)
		}
		defer lock.Close()
	}
	w, err := NewWriter(task.AttemptDir, task.Attempt)
	if err != nil {
		return err
	}
	defer w.Close()

	var result *pipelines.StepResult
	emit := func(e pipelines.Event) error {
		if result != nil {
			return fmt.Errorf("%s event after the result: nothing may follow it", typeOf(e))
		}
		if err := w.Emit(e); err != nil {
			return err
		}
		result = e.Result
		return nil
	}
	step, err := lookup(task)
	if err == nil {
		err = call(ctx, step, task, emit)
	}
	if result == nil {
		r := pipelines.StepResult{State: pipelines.StatusFailed, Cause: pipelines.CauseUser}
		switch {
		case err == nil:
			r.Error = "the step returned without a result"
		case errors.Is(err, context.Canceled) && ctx.Err() != nil:
			r.State, r.Cause = pipelines.StatusCancelled, ""
			r.Error = "stopped by a signal"
		default:
			r.Error = err.Error()
		}
		if err := emit(pipelines.Event{Result: &r}); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "Error:", r.Error)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
	}
	if result.State != pipelines.StatusCompleted {
		return &endedError{result.State}
	}
	return nil
}

// call turns a panic of the step into an error, so that the attempt still
// ends with a result; the stack goes to the log.
func call(ctx context.Context, step StepFunc, task pipelines.Task, emit func(pipelines.Event) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", p, debug.Stack())
			err = fmt.Errorf("the step crashed: %v", p)
		}
	}()
	return step(ctx, task, emit)
}
