package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web/submit"
)

// workOrder tells a work process what to do. It stands on its standard input,
// since a store's address may hold a password.
type workOrder struct {
	ID     string        `json:"id"` // of the submission
	Owner  string        `json:"owner"`
	Store  string        `json:"store"` // as --store takes it
	Dir    string        `json:"dir"`   // the state folder
	Lease  time.Duration `json:"lease"`
	Policy submit.Policy `json:"policy"`
}

// newWorkCmd is the process that applies one submission. serve starts it, in a
// session of its own so that it outlives the server; people do not.
func newWorkCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "work",
		Short:  "Apply one submission, named on standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var order workOrder
			if err := json.NewDecoder(a.Stdin).Decode(&order); err != nil {
				return usagef("the order on standard input: %w", err)
			}
			return a.work(c.Context(), order)
		},
	}
}

// leaveCode ends a work process that lost its lease: as if it had been killed,
// it leaves its steps at work for the process that has the lease now.
const leaveCode = 75

func (a *app) work(ctx context.Context, order workOrder) error {
	place, err := a.storePlace(order.Dir, "", storeFlags{store: order.Store})
	if err != nil {
		return err
	}
	place.dir = order.Dir
	store, err := place.openPatient(ctx, a.log)
	if err != nil {
		return err
	}
	defer store.Close()
	queue, ok := store.(runner.Queue)
	if !ok {
		return usagef("the store %s keeps no queue", place.path)
	}
	w := &working{app: a, order: order, queue: queue, store: store, place: place,
		lease: runner.Lease{Owner: order.Owner, Holder: runner.NewHolder("work"), For: order.Lease}}
	return w.run(ctx)
}

// working is one submission at work.
type working struct {
	app   *app
	order workOrder
	queue runner.Queue
	store runner.Store
	place storePlace
	lease runner.Lease

	mu       sync.Mutex
	pending  []runner.Notice
	position int64 // notices filed
	asked    bool  // somebody asked to stop
	training bool  // it has one run, whose id is filed with it
	runID    string
}

func (w *working) run(ctx context.Context) error {
	if _, err := w.queue.Renew(ctx, w.order.ID, w.lease, time.Now()); err != nil {
		return err // it is another's by now
	}
	s, err := w.queue.Submission(ctx, w.order.ID)
	if err != nil {
		return err
	}
	w.training = s.Kind == runner.SubmissionTraining
	if w.position, err = lastNotice(ctx, w.queue, s.ID); err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	steady, end := context.WithCancel(context.WithoutCancel(ctx))
	var beat sync.WaitGroup
	beat.Go(func() { w.keep(steady, stop) })
	ending := w.apply(work, s)
	end()
	beat.Wait()
	if ctx.Err() != nil && !w.asked {
		// This process was asked to stop, and nobody asked to stop the
		// submission: its steps wrote checkpoints, the next process goes on.
		w.app.log.Info("leaving the submission to the next process", "submission", s.ID)
		return ctx.Err()
	}
	return w.finish(context.WithoutCancel(ctx), ending)
}

func lastNotice(ctx context.Context, q runner.Queue, id string) (last int64, err error) {
	for {
		page, at, err := q.Notices(ctx, id, last, 0)
		if err != nil || len(page) == 0 {
			return last, err
		}
		last = at
	}
}

// keep renews the lease, files notices and hears of the wish to stop, until
// ctx ends. A store that is away is tried again; a lost lease ends the process.
func (w *working) keep(ctx context.Context, stop func()) {
	renewed := time.Now()
	for runner.Sleep(ctx, 300*time.Millisecond) {
		if err := w.flush(ctx); err != nil {
			w.app.log.Warn("notices cannot be stored; trying on", "error", err)
		}
		if time.Since(renewed) > w.lease.For/3 {
			_, err := w.queue.Renew(ctx, w.order.ID, w.lease, time.Now())
			switch {
			case pipelines.CodeOf(err) == pipelines.CodeConflict:
				w.app.log.Error("the lease is lost; leaving", "error", err)
				os.Exit(leaveCode)
			case err != nil:
				w.app.log.Warn("the lease cannot be renewed; trying on", "error", err)
			default:
				renewed = time.Now()
			}
		}
		if s, err := w.queue.Submission(ctx, w.order.ID); err == nil && s.Cancel && s.Owner == w.order.Owner {
			w.mu.Lock()
			w.asked = true
			w.mu.Unlock()
			stop()
		}
	}
}

// Observe keeps notices for the store. Events are there already.
func (w *working) Observe(n runner.Notice) {
	if n.Type == runner.NoticeStepEvent {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, n)
	if w.training && (n.Type == runner.NoticeStepStarted || n.Type == runner.NoticeStepAdopted) {
		w.runID = n.RunID
	}
}

func (w *working) flush(ctx context.Context) error {
	w.mu.Lock()
	batch, at, run := w.pending, w.position, w.runID
	w.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if run != "" {
		if err := w.queue.Describe(ctx, w.order.ID, "", run); err != nil {
			return err
		}
	}
	if err := w.queue.AppendNotices(ctx, w.order.ID, at, batch); err != nil {
		return err
	}
	w.mu.Lock()
	w.pending, w.position = w.pending[len(batch):], at+int64(len(batch))
	w.mu.Unlock()
	return nil
}

// apply loads, plans and applies, and says how that ended.
func (w *working) apply(ctx context.Context, s runner.Submission) runner.Ending {
	res, lock, err := w.tryApply(ctx, s)
	e := runner.Ending{Status: pipelines.StatusCompleted, Lock: lock}
	if w.training { // its step may have been reused
		for _, step := range res.Steps {
			if step.RunID != "" {
				w.mu.Lock()
				w.runID = step.RunID
				w.mu.Unlock()
			}
		}
	}
	if err == nil {
		return e
	}
	e.ExitCode = exitCode(err)
	report, _ := w.app.errorReport(err, e.ExitCode)
	e.Status, e.Code, e.Error = pipelines.StatusFailed, pipelines.Code(report.Code), report.Message
	if e.ExitCode == exitCancelled {
		e.Status = pipelines.StatusCancelled
	}
	if b, jerr := json.Marshal(report); jerr == nil {
		e.Report = b
	}
	return e
}

func (w *working) tryApply(ctx context.Context, s runner.Submission) (res runner.ApplyResult, lock []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = pipelines.Errorf(pipelines.CodeInternal, "this is a defect in runner %s: %v", Version, p)
		}
	}()
	a := w.app
	dir := filepath.Join(w.place.dir, "submissions", s.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return res, nil, fmt.Errorf("submission %s: %w", s.ID, err)
	}
	var order submit.Submission
	if err := json.Unmarshal(s.Work, &order); err != nil {
		return res, nil, fmt.Errorf("submission %s: %w", s.ID, err)
	}
	lockPath := filepath.Join(dir, runner.LockFileName)
	if text, ok := order.Files[runner.LockFileName]; ok && !exists(lockPath) {
		if err := os.WriteFile(lockPath, []byte(text), 0o644); err != nil {
			return res, nil, fmt.Errorf("submission %s: %w", s.ID, err)
		}
	}
	p, diags, err := a.loadSubmission(ctx, dir, w.order.Policy, order, false)
	if err == nil && diags.HasErrors() {
		err = diags
	}
	if err != nil {
		return res, nil, err
	}
	if err := w.queue.Describe(ctx, s.ID, p.Name, ""); err != nil {
		return res, nil, err
	}
	cache := ""
	if dir, err := userCache(); err == nil {
		cache = filepath.Join(dir, "datasets.gob")
	}
	archive, err := a.archive(ctx, p, w.store, w.place.dir)
	if err != nil {
		return res, nil, err
	}
	planner := runner.Planner{
		Store: w.store, Adapters: a.Adapters, Datasets: submittedData(cache), Archive: archive, Executor: executorFactory(executorHost{env: a.Env, bucket: a.podBucket(p), publicOnly: !w.order.Policy.PrivateAddresses, services: w.order.Policy.Services}), GPUs: countGPUs(), HostGPUs: hostGPUs(), Now: a.Now,
		Claim: runner.Claim{Source: order.Source, State: "of the server"},
	}
	sess := &session{pipeline: p, store: w.store, applier: &runner.Applier{Planner: planner, Dir: w.place.dir, Version: Version}}
	plan, err := sess.applier.Plan(ctx, p, runner.PlanOptions{Targets: order.Targets, Replace: order.Replace})
	if err != nil {
		return res, nil, err
	}
	opts := runner.ApplyOptions{LockTimeout: 24 * time.Hour, Commit: order.Commit, Branch: order.Branch, ID: s.ID}
	if s.JobID != 0 && len(p.Steps) > 0 {
		opts.JobIDs = map[pipelines.Address]int64{p.Steps[0].Address: s.JobID}
	}
	reports := &reporter{app: a, ctx: context.WithoutCancel(ctx), session: sess, plan: plan}
	opts.Observer = observers{w, reports}
	res, err = sess.applier.Apply(ctx, plan, opts)
	reports.wait.Wait()
	if text, rerr := os.ReadFile(lockPath); rerr == nil {
		lock = text
	}
	return res, lock, err
}

// finish files the rest and the end, for as long as it takes: what was trained
// is there already, and whoever waits learns of it here.
func (w *working) finish(ctx context.Context, e runner.Ending) error {
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		err := w.flush(ctx)
		if err == nil {
			if w.runID != "" {
				err = w.queue.Describe(ctx, w.order.ID, "", w.runID)
			}
		}
		if err == nil {
			err = w.queue.Finish(ctx, w.order.ID, w.order.Owner, e, time.Now())
		}
		if err == nil || pipelines.CodeOf(err) == pipelines.CodeConflict || pipelines.CodeOf(err) == pipelines.CodeNotFound {
			return err
		}
		w.app.log.Warn("the end cannot be stored; trying on", "error", err)
		// Another process may take the lease meanwhile; it finds the runs ended.
		_, rerr := w.queue.Renew(ctx, w.order.ID, w.lease, time.Now())
		if pipelines.CodeOf(rerr) == pipelines.CodeConflict {
			return errors.Join(err, rerr)
		}
		time.Sleep(delay)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
