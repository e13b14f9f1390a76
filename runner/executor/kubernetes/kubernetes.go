// Package kubernetes runs each attempt of a step as a batch/v1 Job.
//
// A Job makes one pod (or one a node, for adapters that torchrun starts) and
// never a second: what is tried again is the runner's to decide, as attempt
// N+1 with its cause. The Job's name follows from run and attempt, so that any
// runner finds an attempt that lives, and none starts it twice.
//
// In the pod, `runner pod` (package pod) runs the step as the local executor
// does and prints its events to the pod's log, which is followed from here.
// Runner and pods share the state folder through a volume that both see under
// the same path, or its files travel through a bucket (package work):
// checkpoints outlive pods there, and the spool has whatever a log lost. What
// decides over life and death is the word of the API server alone; while it is
// away nothing is ended.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
)

// Executor runs attempts as Jobs. It may be used from several goroutines. With
// an empty Config it finds, follows and stops attempts that others started.
type Executor struct {
	Config Config
	Bucket *Bucket // nil = none

	sender work.Sender

	mu       sync.Mutex
	clusters map[[3]string]*cluster // by kubeconfig, context, namespace
}

var _ runner.Executor = (*Executor)(nil)

// New returns an executor for a block. It reads the kubeconfig, so that a
// missing one is told at plan, and does not talk to the cluster. Without an
// image it can follow and stop attempts that others started. b may be nil.
func New(c Config, b *Bucket) (*Executor, error) {
	e := &Executor{Config: c, Bucket: b}
	if c.Image == "" { // attempts have records of where they run
		return e, nil
	}
	if b == nil && !slices.ContainsFunc(c.Volumes, func(v Volume) bool { return !v.ReadOnly }) {
		return nil, pipelines.Errorf(pipelines.CodeInvalid,
			"pods need the folder of runs: add volume { claim = \"NAME\", path = \"/mnt/work\" }, a volume that the runner sees under the same path, or an artifacts \"s3\" block, through whose bucket it travels")
	}
	_, err := e.connect(c)
	return e, err
}

func (e *Executor) connect(c Config) (*cluster, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := [3]string{c.Kubeconfig, c.Context, c.Namespace}
	if known := e.clusters[key]; known != nil {
		return known, nil
	}
	made, err := connect(c)
	if err != nil {
		return nil, err
	}
	if e.clusters == nil {
		e.clusters = map[[3]string]*cluster{}
	}
	e.clusters[key] = made
	return made, nil
}

// Run makes the attempt's Job, or adopts it, and follows it to its end.
func (e *Executor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	dir := job.Task.AttemptDir
	if !filepath.IsAbs(dir) {
		return runner.Exit{}, pipelines.Errorf(pipelines.CodeInvalid, "the attempt folder %q of %s is not absolute", dir, job.Task.Address)
	}
	if err := ensureTask(job.Task); err != nil {
		return runner.Exit{}, err
	}
	say := sayer(job)
	if e.Bucket != nil && !e.Config.covers(dir) {
		secrets := maps.Clone(e.Bucket.Secrets)
		maps.Copy(secrets, job.Secrets)
		job.Secrets = secrets
	}
	c, rec, there, err := e.ensureStarted(ctx, job, say)
	var refused *startError
	if errors.As(err, &refused) {
		return runner.Exit{Code: -1, Cause: pipelines.CauseConfig, Message: refused.Error()}, nil
	}
	if err != nil {
		return runner.Exit{}, err
	}
	in := newInbox(job, sink, say)
	if rec.Bucket {
		if in.home, err = e.home(ctx, job.Task, say); err != nil {
			return runner.Exit{}, err
		}
	}
	if !there {
		if err := in.finish(ctx); err != nil {
			return runner.Exit{}, err
		}
		return end(job, rec, state{known: true, jobGone: true}, savedExit(dir), in.result), nil
	}
	r := &run{e: e, c: c, rec: rec, job: job, in: in, say: say, w: newWatcher(c, rec)}
	exit, err := r.follow(ctx)
	if err != nil {
		return runner.Exit{}, fmt.Errorf("follow attempt %d of %s: %w", job.Task.Attempt, job.Task.Address, err)
	}
	return exit, nil
}

// sayer tells each line once as long as it stays the same.
func sayer(job runner.Job) func(string) {
	var mu sync.Mutex
	last := ""
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if text != last && job.Tell != nil {
			job.Tell(text)
		}
		last = text
	}
}

// run follows one attempt.
type run struct {
	e   *Executor
	c   *cluster
	rec record
	job runner.Job
	in  *inbox
	say func(string)
	w   *watcher

	log     *follower
	logDone chan struct{}
	lines   chan pod.Line
	over    chan struct{}
	exit    *runner.Exit // as the pod's log told it
	pending pending
	output  *os.File // of a step block, whose pod writes none to the folder
}

func (r *run) follow(ctx context.Context) (runner.Exit, error) {
	ctx, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); r.w.run(ctx) }()
	r.lines, r.over, r.logDone = make(chan pod.Line, 256), make(chan struct{}), make(chan struct{})
	defer func() { // nothing works on when this returns
		stop()
		<-watched
		if r.log != nil {
			<-r.logDone
		}
		if r.output != nil {
			_ = r.output.Close()
		}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	filled := time.Now()
	for {
		select {
		case <-ctx.Done():
			return runner.Exit{}, ctx.Err()
		case line := <-r.lines:
			if err := r.take(ctx, line); err != nil {
				return runner.Exit{}, err
			}
		case <-r.w.changed:
		case <-tick.C:
			// Without the log, the shared folder has the events, if later.
			if r.log != nil && !r.log.connected.Load() && time.Since(filled) > 5*time.Second {
				filled = time.Now()
				if err := r.in.fill(ctx); err != nil {
					return runner.Exit{}, err
				}
			}
		}
		s := r.w.state()
		if ended, err := r.look(ctx, s); err != nil {
			return runner.Exit{}, err
		} else if ended {
			return r.finish(ctx, s)
		}
	}
}

// look does what a new state asks for, and says whether the attempt is over.
func (r *run) look(ctx context.Context, s state) (bool, error) {
	if s.trouble != nil {
		if time.Since(s.since) > 2*time.Second {
			r.say(fmt.Sprintf("nothing can be learnt of %s: %s. It works on, and is followed again when that passes", r.rec.Job, s.trouble))
		}
		return false, nil
	}
	if !s.known {
		return false, nil
	}
	zero := s.rank0()
	if zero != nil && r.log == nil && started(zero.Pod) {
		r.log = &follower{c: r.c, namespace: r.rec.Namespace, pod: zero.Name, attempt: r.job.Task.Attempt, out: r.lines, over: r.over, raw: isCommand(r.job.Task)}
		go func() { defer close(r.logDone); r.log.run(ctx) }()
	}
	if s.over() {
		return true, nil
	}
	if suspendedAfterStart(s) { // the queue takes the room back, and would start the same attempt again
		r.pending.fatal = &runner.Exit{Code: -1, Cause: pipelines.CausePreempted, Message: "the queue suspended the Job after it had started, to make room for another"}
		return false, r.giveUp(ctx)
	}
	if !r.pending.look(ctx, r.c, r.rec, s, r.say) {
		return false, nil
	}
	return false, r.giveUp(ctx)
}

// giveUp removes a Job that cannot come to anything. Its end follows.
func (r *run) giveUp(ctx context.Context) error {
	_, err := call(ctx, func(ctx context.Context) (any, error) {
		return nil, r.c.batch.Jobs(r.rec.Namespace).Delete(ctx, r.rec.Job, background(r.rec))
	})
	if err != nil && !apierrors.IsNotFound(err) && !passing(err) {
		return explain(err, "delete Job "+r.rec.Job, r.c)
	}
	return nil
}

// take takes a line of the log, and those that are there already, in one go.
func (r *run) take(ctx context.Context, line pod.Line) error {
	var events []pipelines.Event
	for {
		switch {
		case line.Event != nil:
			events = append(events, *line.Event)
		case line.Exit != nil:
			r.exit = line.Exit
		case line.Text != nil:
			if err := r.write(line.Text); err != nil {
				return err
			}
		}
		if len(events) == 500 {
			return r.in.take(ctx, events)
		}
		select {
		case line = <-r.lines:
		default:
			return r.in.take(ctx, events)
		}
	}
}

// write keeps a line of a step block's output. A log that is read from its
// beginning again replaces what an earlier runner kept of it.
func (r *run) write(text []byte) error {
	if r.output == nil {
		f, err := os.Create(filepath.Join(r.job.Task.AttemptDir, spool.LogFile))
		if err != nil {
			return err
		}
		r.output = f
	}
	_, err := r.output.WriteString(r.in.redact.Text(string(text)))
	return err
}

// finish reads the log to its end, completes it from the spool, and says how
// the attempt ended.
func (r *run) finish(ctx context.Context, s state) (runner.Exit, error) {
	close(r.over)
	for read := r.log == nil; !read; {
		select {
		case <-ctx.Done():
			return runner.Exit{}, ctx.Err()
		case line := <-r.lines:
			if err := r.take(ctx, line); err != nil {
				return runner.Exit{}, err
			}
		case <-r.logDone:
			read = true
		}
	}
	for len(r.lines) > 0 {
		if err := r.take(ctx, <-r.lines); err != nil {
			return runner.Exit{}, err
		}
	}
	if isCommand(r.job.Task) && r.pending.fatal == nil {
		var err error
		if r.exit, err = commandEnd(r.job, s); err != nil {
			return runner.Exit{}, err
		}
	}
	if err := r.in.finish(ctx); err != nil {
		return runner.Exit{}, err
	}
	if r.pending.fatal != nil && !stopAsked(r.job.Task.AttemptDir) {
		return *r.pending.fatal, nil
	}
	exit := r.exit
	if exit == nil {
		exit = savedExit(r.job.Task.AttemptDir)
	}
	out := end(r.job, r.rec, s, exit, r.in.result)
	out.Images = usedImages(r.job.Task, s)
	return out, nil
}

func background(rec record) metav1.DeleteOptions {
	o := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
	if rec.UID != "" {
		o.Preconditions = &metav1.Preconditions{UID: &rec.UID}
	}
	return o
}

// Probe asks the API server for the attempt's Job and pods.
func (e *Executor) Probe(ctx context.Context, a pipelines.Attempt) (runner.Liveness, error) {
	c, rec, err := e.locate(a.Dir, a.RunID, a.Number)
	if err != nil {
		return runner.Unknown, err
	}
	job, err := call(ctx, func(ctx context.Context) (*batchv1.Job, error) {
		return c.batch.Jobs(rec.Namespace).Get(ctx, rec.Job, metav1.GetOptions{})
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return runner.Unknown, explain(err, "look for Job "+rec.Job, c)
	}
	if err == nil && rec.UID == "" {
		rec.UID = job.UID
	}
	s, err := look(ctx, c, rec)
	if err != nil {
		return runner.Unknown, err
	}
	// Between the end of its pod and its own the Job shows nothing at work.
	if s.over() || len(s.pods) == 0 && savedExit(a.Dir) != nil {
		return runner.Ended, nil
	}
	return runner.Alive, nil
}

// look asks once for the state.
func look(ctx context.Context, c *cluster, rec record) (state, error) {
	w := newWatcher(c, rec)
	jobs, pods, err := w.list(ctx)
	if err != nil {
		return state{}, err
	}
	w.listed(jobs.Items, pods.Items)
	return w.state(), nil
}
