package local

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// stop ends the process group of an attempt: SIGTERM, then SIGKILL after the grace.
func (e *Executor) stop(ctx context.Context, dir, reason string, grace time.Duration) error {
	held, err := spool.Held(dir)
	if err != nil || !held {
		return err
	}
	pid, err := e.find(ctx, dir)
	if err != nil || pid == 0 {
		return err
	}
	note, asked := readStop(dir)
	if !asked {
		note = stopNote{Reason: reason, Time: time.Now().UTC()}
		if err := durable.WriteJSON(filepath.Join(dir, stopFile), note, 0o644); err != nil {
			return err
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGTERM) // it may have ended just now
	if gone, err := e.gone(ctx, dir, grace); gone || err != nil {
		return err
	}
	note.Killed = true
	if err := durable.WriteJSON(filepath.Join(dir, stopFile), note, 0o644); err != nil {
		return err
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	gone, err := e.gone(ctx, dir, 30*time.Second)
	if err == nil && !gone {
		err = pipelines.Errorf(pipelines.CodeTimeout,
			"process %d in %s is still there 30 s after SIGKILL; it may hang in a device or network file system", pid, dir)
	}
	return err
}

// gone waits until the attempt's lock is free, at most for the time given.
func (e *Executor) gone(ctx context.Context, dir string, wait time.Duration) (bool, error) {
	end := time.Now().Add(wait)
	for {
		held, err := spool.Held(dir)
		if err != nil || !held {
			return !held && err == nil, err
		}
		if !time.Now().Before(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(min(e.poll(), max(time.Until(end), time.Millisecond))):
		}
	}
}

// find returns the pid of the attempt's session leader, 0 when it has ended.
// Right after a start the record may not be there yet, and never comes when
// the runner died at that moment; then the process is known by its environment.
func (e *Executor) find(ctx context.Context, dir string) (int, error) {
	for range 40 {
		rec, ok, err := readRecord(dir)
		if err != nil {
			return 0, err
		}
		if ok && !rec.elsewhere() && !rec.Process.Gone() {
			return rec.Process.PID, nil
		}
		if pid := byEnvironment(dir); pid > 0 {
			return pid, nil
		}
		if gone, err := e.gone(ctx, dir, e.poll()); gone || err != nil {
			return 0, err
		}
	}
	return 0, pipelines.Errorf(pipelines.CodeUnavailable,
		"a process holds the lock of %s, but it is not one of this machine, or of another user; stop it where it runs", dir)
}

// byEnvironment finds a session leader that was started for the attempt folder.
func byEnvironment(dir string) int {
	want := []byte(spool.EnvAttemptDir + "=" + dir)
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", p.Name(), "environ"))
		if err != nil {
			continue
		}
		for _, kv := range bytes.Split(env, []byte{0}) {
			if !bytes.Equal(kv, want) {
				continue
			}
			if pgid, err := syscall.Getpgid(pid); err == nil && pgid == pid {
				return pid
			}
		}
	}
	return 0
}

// enforceTimeout stops the attempt when its time is over. The returned
// function ends the watch.
func (e *Executor) enforceTimeout(ctx context.Context, job runner.Job) func() {
	if job.Timeout <= 0 {
		return func() {}
	}
	started := time.Now()
	if rec, ok, err := readRecord(job.Task.AttemptDir); ok && err == nil {
		started = rec.Started
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(started.Add(job.Timeout))):
			// A step that cannot be stopped now is asked again, for as long as it is followed.
			for e.stop(ctx, job.Task.AttemptDir, stopTimeout, job.Grace) != nil && ctx.Err() == nil {
				select {
				case <-ctx.Done():
				case <-time.After(10 * e.poll()):
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}
