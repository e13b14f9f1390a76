package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/process"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// startError is a command that cannot be started at all.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }

// ensureStarted sees to it that the attempt has been started, once, and
// returns a channel that closes when it has ended.
func (e *Executor) ensureStarted(ctx context.Context, job runner.Job) (<-chan struct{}, error) {
	dir := job.Task.AttemptDir
	lock, ok, err := spool.TryLock(dir)
	if err != nil {
		return nil, err
	}
	if !ok {
		return e.awaitRelease(ctx, dir), nil
	}
	defer lock.Close() // the child has a copy; without a child nobody may keep it
	ran, err := hasRun(dir)
	if err != nil {
		return nil, err
	}
	if ran {
		ended := make(chan struct{})
		close(ended)
		return ended, nil
	}
	return e.start(job, lock)
}

// hasRun reports that a process was started in the attempt folder. The
// spool counts too: a runner may die before it writes its record.
func hasRun(dir string) (bool, error) {
	for _, name := range []string{recordFile, spool.EventsFile} {
		_, err := os.Stat(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

func (e *Executor) start(job runner.Job, lock *spool.Lock) (<-chan struct{}, error) {
	dir := job.Task.AttemptDir
	if len(job.Command.Argv) == 0 {
		return nil, &startError{fmt.Errorf("the adapter %q gave no command to start %s with", job.Task.Adapter, job.Task.Address)}
	}
	log, err := os.OpenFile(filepath.Join(dir, spool.LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the step's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(job.Command.Argv[0], job.Command.Argv[1:]...)
	cmd.Dir = job.Command.Dir
	cmd.Stdout, cmd.Stderr = log, log // one open file, so that lines keep their order
	cmd.Env = e.environ(job)
	cmd.ExtraFiles = []*os.File{lock.File()} // becomes descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	before := oomKills()
	if err := cmd.Start(); err != nil {
		return nil, &startError{fmt.Errorf("start %s: %w", job.Task.Address, err)}
	}
	err = writeRecord(dir, record{Process: process.Of(cmd.Process.Pid), Runner: process.Self(), Started: time.Now().UTC(), OOMKills: before})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in ProcessState
		// What the step forked and left behind goes with it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		// Without this file the end is told from the spool alone.
		_ = durable.WriteJSON(filepath.Join(dir, exitFile), exitOf(cmd.ProcessState), 0o644)
	}()
	return ended, err
}

// environ is the step's environment: what the runner inherited, then the
// command's, the step's own and its secrets. Of two equal names the last counts.
func (e *Executor) environ(job runner.Job) []string {
	env := e.Environ
	if env == nil {
		env = os.Environ()
	}
	var out []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !runner.OwnSecret(name) {
			out = append(out, kv)
		}
	}
	for _, m := range []map[string]string{job.Command.Env, job.Env} {
		for k, v := range m {
			out = append(out, k+"="+v)
		}
	}
	for k, v := range job.Secrets {
		out = append(out, k+"="+v.Reveal())
	}
	return append(out, spool.EnvLockFD+"=3", spool.EnvAttemptDir+"="+job.Task.AttemptDir)
}

// awaitExit waits for the parent's note of how the step ended, which comes a
// moment after the lock is free. A parent that is gone writes none.
func (e *Executor) awaitExit(ctx context.Context, dir string) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		rec, ok, _ := readRecord(dir)
		if _, known := readExit(dir); known || !ok || rec.Runner.Gone() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(e.poll(), 20*time.Millisecond)):
		}
	}
}

// awaitRelease watches the lock of an attempt that another process started.
// The channel stays open while that cannot be told, and closes when nobody
// follows any more.
func (e *Executor) awaitRelease(ctx context.Context, dir string) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if held, err := spool.Held(dir); err == nil && !held {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(e.poll()):
			}
		}
	}()
	return ended
}
