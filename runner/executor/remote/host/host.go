// Package host runs attempts for clients of executor "remote": the server's
// side.
//
// Each run has a folder with checkpoints, artifacts and attempts, as on the
// client's machine, and what the client sent. The local executor runs the step:
// it outlives the server, and the next one finds it. Events are read from the
// step's spool and kept nowhere else.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// Config is what a Host works with. All but Slot, Env and Log are required.
type Config struct {
	Dir      string          // of the runs' folders
	Executor runner.Executor // of this machine
	Adapters interface {
		Lookup(name string) (adapters.Adapter, bool)
	}
	Datasets runner.Datasets
	// Place finds data below the folder that is lent, Root, or lets an address
	// pass that Datasets may read.
	Place func(path string) (string, error)
	Root  string
	// Env are names of variables that steps may set.
	Env []string
	// Slot waits for room for a training and sets its device; nil = there is always room.
	Slot func(ctx context.Context, task *pipelines.Task, tell func(string)) (release func(), err error)
	Log  *slog.Logger
}

// Host keeps attempts. It may be used from several goroutines.
type Host struct {
	cfg  Config
	ctx  context.Context
	mu   sync.Mutex
	work map[string]*attempt // by folder
	wait sync.WaitGroup
}

// attempt is one that this process follows, or followed.
type attempt struct {
	order  remote.Order
	dir    string
	cancel context.CancelFunc // while it waits

	mu      sync.Mutex
	waiting string
	running bool
	data    string // the dataset's folder here
	exit    *runner.Exit
}

const (
	orderFile = "order.json"
	exitFile  = "served-exit.json"
	homeFile  = "home" // its client has fetched everything
)

// New makes a host that works until ctx ends; the steps live on. It goes on
// following what an earlier one started.
func New(ctx context.Context, cfg Config) *Host {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Host{cfg: cfg, ctx: ctx, work: map[string]*attempt{}}
	found, _ := fs.Glob(os.DirFS(cfg.Dir), "*/attempts/*/"+orderFile) // the pattern is right
	for _, path := range found {
		dir := filepath.Join(cfg.Dir, filepath.Dir(path))
		h.mu.Lock()
		_, err := h.known(dir)
		h.mu.Unlock()
		if err != nil && pipelines.CodeOf(err) != pipelines.CodeNotFound {
			cfg.Log.Warn("an attempt of another machine cannot be followed", "folder", dir, "error", err)
		}
	}
	return h
}

// Wait returns once nothing is followed any more, after the context of New ended.
func (h *Host) Wait() { h.wait.Wait() }

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// Serve answers a call.
func (h *Host) Serve(ctx context.Context, method string, c remote.Call) (remote.Answer, error) {
	if !idForm.MatchString(c.RunID) || c.Attempt < 1 || c.Attempt > 100000 {
		return remote.Answer{}, pipelines.Errorf(pipelines.CodeInvalid, "the call names no attempt: run_id %.100q, attempt %d", c.RunID, c.Attempt)
	}
	switch method {
	case remote.MethodStart:
		return h.start(c)
	case remote.MethodFollow:
		return h.follow(ctx, c)
	case remote.MethodStop:
		return h.stop(c)
	case remote.MethodFiles:
		return h.files(c)
	case remote.MethodRead:
		return h.read(c)
	case remote.MethodWrite:
		return h.write(c)
	case remote.MethodHome:
		return h.home(c)
	}
	return remote.Answer{}, pipelines.Errorf(pipelines.CodeNotFound, "a task has no method %q", method)
}

func (h *Host) runDir(id string) string { return filepath.Join(h.cfg.Dir, id) }

func attemptDir(runDir string, n int) string {
	return filepath.Join(runDir, "attempts", strconv.Itoa(n))
}

// start runs an attempt, once: one that is known already is left as it is.
func (h *Host) start(c remote.Call) (remote.Answer, error) {
	if c.Order == nil {
		return remote.Answer{}, pipelines.Errorf(pipelines.CodeInvalid, "there is no order to start")
	}
	if err := h.allowed(*c.Order, c); err != nil {
		return remote.Answer{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := attemptDir(h.runDir(c.RunID), c.Attempt)
	a, err := h.known(dir)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return remote.Answer{}, err
		}
		kept := *c.Order
		kept.Secrets = nil
		if err := durable.WriteJSON(filepath.Join(dir, orderFile), kept, 0o600); err != nil {
			return remote.Answer{}, err
		}
		a, err = h.begin(dir, *c.Order), nil
	}
	if err != nil {
		return remote.Answer{}, err
	}
	return h.stateOf(a), nil
}

// known finds an attempt that is followed, has ended, or was started by an
// earlier server. One that only waited then is not found: its client hands it
// in again. The caller holds h.mu.
func (h *Host) known(dir string) (*attempt, error) {
	if a := h.work[dir]; a != nil {
		return a, nil
	}
	var order remote.Order
	there, err := durable.ReadJSON(filepath.Join(dir, orderFile), &order)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, pipelines.Errorf(pipelines.CodeNotFound, "this server knows nothing of attempt %s", dir)
	}
	var exit runner.Exit
	if ended, err := durable.ReadJSON(filepath.Join(dir, exitFile), &exit); err != nil {
		return nil, err
	} else if ended {
		a := &attempt{order: order, dir: dir, exit: &exit, cancel: func() {}}
		h.work[dir] = a
		return a, nil
	}
	if _, err := os.Stat(filepath.Join(dir, spool.TaskFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, pipelines.Errorf(pipelines.CodeNotFound, "attempt %s waited when the server ended", dir)
	} else if err != nil {
		return nil, err
	}
	return h.begin(dir, order), nil
}

// begin works on an attempt in the background. The caller holds h.mu.
func (h *Host) begin(dir string, order remote.Order) *attempt {
	ctx, cancel := context.WithCancel(h.ctx)
	a := &attempt{order: order, dir: dir, cancel: cancel}
	h.work[dir] = a
	h.wait.Go(func() {
		defer cancel()
		h.run(ctx, a)
	})
	return a
}

// run prepares an attempt, runs it to its end and notes that.
func (h *Host) run(ctx context.Context, a *attempt) {
	exit, err := h.carryOut(ctx, a)
	if h.ctx.Err() != nil && err != nil {
		return // the next server goes on
	}
	if ctx.Err() != nil && err != nil {
		exit, err = runner.Exit{Code: spool.ExitCancelled, Message: "stopped before it started"}, nil
	}
	if err != nil {
		exit = runner.Exit{Code: spool.ExitFailed, Cause: pipelines.CauseInfrastructure, Message: "on the server: " + err.Error()}
		switch pipelines.CodeOf(err) {
		case pipelines.CodeInvalid:
			exit.Cause = pipelines.CauseConfig
		case pipelines.CodeStale, pipelines.CodeNotFound:
			exit.Cause = pipelines.CauseData
		}
	}
	if err := durable.WriteJSON(filepath.Join(a.dir, exitFile), exit, 0o644); err != nil {
		h.cfg.Log.Error("the end of an attempt cannot be written", "folder", a.dir, "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exit, a.waiting, a.order.Secrets = &exit, "", nil // nobody needs them any more
}

func (a *attempt) tell(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = text
}

func (h *Host) carryOut(ctx context.Context, a *attempt) (runner.Exit, error) {
	task, err := spool.ReadTask(filepath.Join(a.dir, spool.TaskFile))
	started := err == nil
	if !started {
		if err := h.endEarlier(ctx, a); err != nil {
			return runner.Exit{}, err
		}
		if task, err = h.prepare(ctx, a); err != nil {
			return runner.Exit{}, err
		}
	}
	if h.cfg.Slot != nil && task.Train != nil && !started {
		release, err := h.cfg.Slot(ctx, &task, a.tell)
		if err != nil {
			return runner.Exit{}, err
		}
		defer release()
	}
	adapter, ok := h.cfg.Adapters.Lookup(task.Adapter)
	if !ok {
		return runner.Exit{}, pipelines.Errorf(pipelines.CodeInvalid, "there is no adapter %q", task.Adapter)
	}
	job := runner.Job{Task: task, Env: a.order.Env, Secrets: map[string]pipelines.Secret{}, Timeout: a.order.Timeout, Grace: a.order.Grace}
	for name, value := range a.order.Secrets {
		job.Secrets[name] = pipelines.NewSecret(value)
	}
	if job.Command, err = adapter.Command(ctx, filepath.Join(a.dir, spool.TaskFile)); err != nil {
		return runner.Exit{}, err
	}
	if ctx.Err() != nil {
		return runner.Exit{}, ctx.Err()
	}
	if !started {
		if _, err := spool.WriteTask(task); err != nil {
			return runner.Exit{}, err
		}
	}
	a.mu.Lock()
	a.waiting, a.running = "", true
	if task.Dataset != nil {
		a.data = task.Dataset.Path
	}
	a.mu.Unlock()
	// Not ctx: a step that runs is stopped by Cancel, and followed meanwhile.
	return h.cfg.Executor.Run(h.ctx, job, func(context.Context, []pipelines.Event) error { return nil })
}

// endEarlier stops an earlier attempt that still works: whoever asks for the
// next knows nothing of it any more.
func (h *Host) endEarlier(ctx context.Context, a *attempt) error {
	runDir := filepath.Dir(filepath.Dir(a.dir))
	for n := 1; n < a.order.Task.Attempt; n++ {
		dir := attemptDir(runDir, n)
		live, err := h.cfg.Executor.Probe(ctx, pipelines.Attempt{RunID: a.order.Task.RunID, Number: n, Dir: dir})
		if err != nil {
			return err
		}
		if live == runner.Ended {
			continue
		}
		a.tell(fmt.Sprintf("stopping attempt %d, which still works on the server", n))
		job := runner.Job{Task: pipelines.Task{AttemptDir: dir, Address: a.order.Task.Address}, Grace: max(a.order.Grace, time.Second)}
		if err := h.cfg.Executor.Cancel(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// stop has an attempt end. It comes back at once; the end is told to those who follow.
func (h *Host) stop(c remote.Call) (remote.Answer, error) {
	h.mu.Lock()
	a, err := h.known(attemptDir(h.runDir(c.RunID), c.Attempt))
	h.mu.Unlock()
	if err != nil {
		return remote.Answer{}, err
	}
	a.cancel() // one that waits
	a.mu.Lock()
	running := a.running && a.exit == nil
	a.mu.Unlock()
	if running {
		job := runner.Job{Task: pipelines.Task{RunID: c.RunID, Attempt: c.Attempt, AttemptDir: a.dir, Address: a.order.Task.Address}, Grace: c.Grace}
		h.wait.Go(func() {
			if err := h.cfg.Executor.Cancel(h.ctx, job); err != nil && h.ctx.Err() == nil {
				h.cfg.Log.Warn("an attempt cannot be stopped", "folder", a.dir, "error", err)
			}
		})
	}
	return h.stateOf(a), nil
}

// home notes that the client of an attempt that has ended has all of it.
func (h *Host) home(c remote.Call) (remote.Answer, error) {
	dir := attemptDir(h.runDir(c.RunID), c.Attempt)
	if _, err := os.Stat(filepath.Join(dir, exitFile)); errors.Is(err, fs.ErrNotExist) {
		return remote.Answer{}, pipelines.Errorf(pipelines.CodeConflict, "attempt %d of run %s has not ended here", c.Attempt, c.RunID)
	} else if err != nil {
		return remote.Answer{}, err
	}
	return remote.Answer{}, durable.WriteFile(filepath.Join(dir, homeFile), nil, 0o644)
}

func (h *Host) stateOf(a *attempt) remote.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := remote.Answer{State: remote.StateWaiting, Waiting: a.waiting, Exit: a.exit, RunDir: filepath.Dir(filepath.Dir(a.dir)), Root: h.cfg.Root, DataDir: a.data}
	switch {
	case a.exit != nil:
		out.State = remote.StateEnded
	case a.running:
		out.State = remote.StateRunning
	}
	return out
}
