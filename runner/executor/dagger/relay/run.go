package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/mirror"
)

// Run is the process inside the container: it starts the command of spec,
// sends home what it writes, stops it when Home says so, and returns its exit
// code, as a shell tells it: 128 + N for signal N.
func Run(ctx context.Context, spec Spec) int {
	token, socket := os.Getenv(EnvToken), os.Getenv(EnvSocket)
	if socket == "" {
		socket = SocketPath
	}
	for _, name := range []string{EnvToken, EnvSocket} { // not for the step
		if err := os.Unsetenv(name); err != nil {
			return fail(err)
		}
	}
	r := &relay{spec: spec, home: newCaller(socket, token)}
	if err := r.fetchAll(ctx); err != nil {
		return fail(fmt.Errorf("fetch what the step reads: %w", err))
	}
	return r.run(ctx)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "Error:", err)
	return ExitRelay
}

type relay struct {
	spec    Spec
	home    *caller
	there   mirror.Entries // the run's checkpoints that were at home at the start
	stopped atomic.Bool
	shipper
}

func (r *relay) run(ctx context.Context) int {
	r.shipper = newShipper(r.spec, r.home, r.there)
	cmd, err := r.start()
	if err != nil {
		r.finish(ctx, Done{Code: ExitNotStarted, Error: err.Error()})
		fmt.Fprintln(os.Stderr, "Error:", err)
		return ExitNotStarted
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	stop := func() {
		if r.stopped.CompareAndSwap(false, true) {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may have ended just now
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in ProcessState
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}()
	go r.listen(ended, stop)
	steady := context.WithoutCancel(ctx)
	asked := ctx.Done()
	for t := time.NewTicker(tick); ; {
		select {
		case <-ended:
			t.Stop()
			code := exitCode(cmd.ProcessState)
			r.finish(steady, Done{Code: code})
			return code
		case <-asked:
			stop()
			asked = nil
		case <-t.C:
			_ = r.ship(steady) // what did not get through is sent again
		}
	}
}

// listen asks at every beat whether the step is to stop.
func (r *relay) listen(ended <-chan struct{}, stop func()) {
	for t := time.NewTicker(beat); ; {
		select {
		case <-ended:
			t.Stop()
			return
		case <-t.C:
		}
		var a Answer
		if err := r.home.small(context.Background(), "POST", "/v1/events", nil, nil, &a); err == nil && a.Stop {
			stop()
		}
	}
}

func (r *relay) start() (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(r.spec.AttemptDir, spool.LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if len(r.spec.Argv) == 0 {
		return nil, errors.New("there is no command to start")
	}
	cmd := exec.Command(r.spec.Argv[0], r.spec.Argv[1:]...)
	cmd.Dir = r.spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), spool.EnvAttemptDir+"="+r.spec.AttemptDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, cmd.Start()
}

// finish sends the rest and the last word, for as long as there is hope.
func (r *relay) finish(ctx context.Context, d Done) {
	for end := time.Now().Add(giveUp); ; {
		err := r.shipAll(ctx)
		if err == nil {
			err = r.home.done(ctx, d)
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "Error: what the step wrote last could not be sent home:", err)
			return
		}
		time.Sleep(tick)
	}
}

func exitCode(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// fetchAll fills the checkpoints folder and the volumes with what they lack.
func (r *relay) fetchAll(ctx context.Context) error {
	if err := r.fetchCheckpoints(ctx); err != nil {
		return err
	}
	for _, p := range r.spec.Pulls {
		if err := r.fetchData(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// fetch writes root/path at home to a file.
func (r *relay) fetch(ctx context.Context, root, path, to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = r.home.fetch(ctx, query("root", root, "path", path), f)
	return errors.Join(err, f.Close())
}

// fetchFile fetches a file of data, under another name until it is whole.
func (r *relay) fetchFile(ctx context.Context, root string, e mirror.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".incoming-")
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp) // once it has its name this finds nothing
	if err := errors.Join(f.Chmod(0o644), f.Close(), r.fetch(ctx, root, e.Path, tmp)); err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	info, err := os.Stat(tmp)
	if err == nil && info.Size() != e.Size {
		err = fmt.Errorf("%s: %d of %d bytes came: %w", e.Path, info.Size(), e.Size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return err
	}
	if err := os.Chtimes(tmp, e.Time, e.Time); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}
