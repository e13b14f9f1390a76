package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web/submit"
)

// workers take submissions off the queue and start a process for each. The
// processes outlive them: a server that starts counts those at work and takes
// up those that died.
type workers struct {
	queue    runner.Queue
	store    runner.Store
	control  *runner.Applier
	order    workOrder // of which each process gets its own id and owner
	environ  []string
	capacity map[string]int
	log      *slog.Logger
	poll     time.Duration
}

// run works until ctx ends.
func (w *workers) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		lease := runner.Lease{Owner: runner.NewID(time.Now()), Holder: runner.NewHolder("serve"), For: w.order.Lease}
		c, ok, err := w.queue.Claim(ctx, lease, w.capacity, time.Now())
		if err != nil && !failing && ctx.Err() == nil {
			w.log.Error("the queue does not answer; trying on", "error", err)
		}
		failing = err != nil
		if err != nil || !ok {
			runner.Sleep(ctx, w.poll)
			continue
		}
		go w.take(context.WithoutCancel(ctx), c)
	}
}

// take starts what was claimed, or ends what is to stop.
func (w *workers) take(ctx context.Context, c runner.Claimed) {
	switch {
	case c.Stop:
		w.end(ctx, c)
	case c.Takes > runner.MaxTakes:
		w.finish(ctx, c, runner.Ending{Status: pipelines.StatusFailed, ExitCode: exitError, Code: pipelines.CodeInternal,
			Error: fmt.Sprintf("its process died %d times; the last one's log is %s", c.Takes-1, w.logFile(c.ID))})
	default:
		if c.Takes > 1 {
			w.log.Warn("taking up a submission whose process died", "submission", c.ID, "take", c.Takes)
			time.Sleep(min(time.Duration(c.Takes-1)*100*time.Millisecond, 5*time.Second))
		}
		if err := w.start(c); err != nil {
			w.log.Error("a submission cannot be started", "submission", c.ID, "error", err)
			w.finish(ctx, c, runner.Ending{Status: pipelines.StatusFailed, ExitCode: exitError, Code: pipelines.CodeUnavailable,
				Error: "the server could not start its process; its log says why"})
		}
	}
}

func (w *workers) finish(ctx context.Context, c runner.Claimed, e runner.Ending) {
	if err := w.queue.Finish(ctx, c.ID, c.Owner, e, time.Now()); err != nil {
		w.log.Error("the end of a submission cannot be stored", "submission", c.ID, "error", err)
	}
}

// end stops what the dead process of a cancelled submission left at work.
func (w *workers) end(ctx context.Context, c runner.Claimed) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // stopping takes a while
		for {
			select {
			case <-stop:
				return
			case <-time.After(w.order.Lease / 3):
				_, _ = w.queue.Renew(ctx, c.ID, runner.Lease{Owner: c.Owner, Holder: c.Holder, For: w.order.Lease}, time.Now()) // tried again
			}
		}
	}()
	runs, err := w.store.Runs(ctx, runner.RunFilter{ApplyID: c.ID})
	for _, run := range runs {
		if !run.Status.Ended() {
			err = errors.Join(err, w.control.Cancel(ctx, run))
		}
	}
	if err != nil {
		w.log.Error("a cancelled submission's runs could not all be stopped", "submission", c.ID, "error", err)
	}
	if err := w.store.UpdateApply(ctx, pipelines.Apply{ID: c.ID, Status: pipelines.StatusCancelled, Ended: time.Now()}); err != nil && pipelines.CodeOf(err) != pipelines.CodeNotFound {
		w.log.Error("the end of an apply cannot be stored", "apply", c.ID, "error", err)
	}
	w.finish(ctx, c, runner.Ending{Status: pipelines.StatusCancelled, ExitCode: exitCancelled, Code: pipelines.CodeCancelled, Error: "cancelled"})
}

func (w *workers) logFile(id string) string {
	return filepath.Join(w.order.Dir, "submissions", id, "work.log")
}

// start starts the process of a submission: this binary, in a session of its
// own, with its log in a file, so that nothing of the server is missed when it
// is gone.
func (w *workers) start(c runner.Claimed) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	path := w.logFile(c.ID)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	order := w.order
	order.ID, order.Owner = c.ID, c.Owner
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	// A pipe holds 64 KiB and the order is smaller: it is there whole even if
	// this server dies right after the start.
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := out.Write(append(bytes.TrimSpace(text), '\n')); err != nil {
		return errors.Join(err, out.Close())
	}
	if err := out.Close(); err != nil {
		return err
	}
	cmd := exec.Command(exe, "work")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = in, log, log, w.environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.log.Info("started", "submission", c.ID, "pid", cmd.Process.Pid)
	go func() {
		// Until the process renews the lease itself, this server holds it;
		// when both are gone the next claim finds it.
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() != 0 {
			w.log.Warn("the process of a submission ended", "submission", c.ID, "error", err, "log", path)
			w.release(c)
		}
	}()
	return nil
}

// release gives up a lease that the dead process never took over, so that the
// submission is taken up without waiting for this server's own end.
func (w *workers) release(c runner.Claimed) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now, err := w.queue.Submission(ctx, c.ID)
	if err != nil || now.Owner != c.Owner || now.Holder.PID != c.Holder.PID {
		return
	}
	gone := now.Holder
	gone.PID, gone.StartTime = 0, "never"
	_, _ = w.queue.Renew(ctx, c.ID, runner.Lease{Owner: c.Owner, Holder: gone}, time.Now().Add(-time.Second)) // else at this server's end
}

// workEnviron is what work processes and their steps inherit: nothing of the
// server's own secrets.
func workEnviron(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return runner.OwnSecret(name)
	})
}

// newWorkers makes what takes submissions off the store's queue; nil where the
// store keeps none.
func (a *app) newWorkers(store runner.Store, place storePlace, f serveFlags, policy submit.Policy, log *slog.Logger) *workers {
	queue, ok := store.(runner.Queue)
	if !ok {
		return nil
	}
	return &workers{
		queue: queue, store: store, control: a.watcher(store, place), environ: workEnviron(a.Env), log: log, poll: 250 * time.Millisecond,
		order:    workOrder{Store: place.name(), Dir: place.dir, Lease: f.lease, Policy: policy},
		capacity: map[string]int{"cpu": f.workers, "gpu": min(countGPUs(), f.workers)},
	}
}
