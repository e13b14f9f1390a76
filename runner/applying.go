package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/trainwright/trainwright/pipelines"
)

// applying is one apply at work.
type applying struct {
	a    *Applier
	plan *Plan
	opts ApplyOptions
	res  *ApplyResult

	planned map[pipelines.Address]*PlannedStep

	observing sync.Mutex // an observer is called by one goroutine at a time
	mu        sync.Mutex
	results   pipelines.Results
	decisions map[pipelines.Address]*decision
}

func (ap *applying) tell(n Notice) {
	if ap.opts.Observer == nil {
		return
	}
	n.Version, n.Time = NoticeVersion, ap.a.now()
	ap.observing.Lock()
	defer ap.observing.Unlock()
	ap.opts.Observer.Observe(n)
}

// run does what Apply does while it holds the lock.
func (ap *applying) run(ctx context.Context) error {
	plan, store := ap.plan, ap.a.Store
	if err := ap.a.claim(ctx, plan.Pipeline); err != nil {
		return err
	}
	serial, err := store.Serial(ctx, plan.Pipeline)
	if err != nil {
		return err
	}
	if serial != plan.Serial {
		return pipelines.Errorf(pipelines.CodeStale,
			"the state of pipeline %q changed since the plan was made (serial %d, planned at %d); plan again", plan.Pipeline, serial, plan.Serial)
	}
	for _, m := range plan.Moves {
		if err := store.Rename(ctx, plan.Pipeline, m.From, m.To); err != nil {
			return fmt.Errorf("move %s to %s: %w", m.From, m.To, err)
		}
	}
	ap.tell(Notice{Type: NoticeApplyStarted, Plan: plan})
	id := ap.opts.ID
	if id == "" {
		id = NewID(ap.a.now())
	}
	record := pipelines.Apply{ID: id, Pipeline: plan.Pipeline, Status: pipelines.StatusRunning,
		Started: ap.res.Started, Commit: ap.opts.Commit, Branch: ap.opts.Branch, Version: ap.a.Version}
	if plan.Changes {
		err := store.CreateApply(ctx, record)
		if ap.opts.ID != "" && pipelines.CodeOf(err) == pipelines.CodeConflict { // it was begun before
			err = store.UpdateApply(ctx, record)
		}
		if err != nil {
			return err
		}
		ap.res.ApplyID = record.ID
	}
	ap.steps(ctx)
	err = ap.finish(context.WithoutCancel(ctx), ctx.Err() != nil)
	if plan.Changes || ap.opts.ID != "" {
		record.Status, record.Ended = ap.res.Status, ap.a.now()
		uerr := store.UpdateApply(context.WithoutCancel(ctx), record)
		if !plan.Changes && pipelines.CodeOf(uerr) == pipelines.CodeNotFound { // nothing was to be done, at no time
			uerr = nil
		}
		if err == nil {
			err = uerr
		}
	}
	return err
}

// steps runs every step once all it needs has completed, in plan order where
// there is a choice. A failed step takes those that need it along and no others.
func (ap *applying) steps(ctx context.Context) {
	outcomes := map[pipelines.Address]StepOutcome{}
	waiting := slices.Clone(ap.plan.steps)
	busy := map[string]int{}
	type finished struct {
		StepOutcome
		lane string
	}
	done := make(chan finished)
	running := 0
	for len(waiting) > 0 || running > 0 {
		rest := waiting[:0]
		for _, s := range waiting {
			ready, blocked := ap.ready(ctx, s, outcomes)
			if blocked != nil {
				outcomes[s.Address] = *blocked
				ap.tell(Notice{Type: NoticeStepSkipped, Address: s.Address, Status: blocked.Status, Message: blocked.Error})
				continue
			}
			lane, width := ap.lane(s)
			if !ready || busy[lane] >= width {
				rest = append(rest, s)
				continue
			}
			busy[lane]++
			running++
			go func() { done <- finished{ap.step(ctx, s), lane} }()
		}
		waiting = rest
		if running > 0 {
			f := <-done
			outcomes[f.Address] = f.StepOutcome
			busy[f.lane]--
			running--
		}
	}
	for _, s := range ap.plan.steps {
		ap.res.Steps = append(ap.res.Steps, outcomes[s.Address])
	}
}

// lane is what bounds how many steps like this one run at once: a machine
// resource, or else the parallelism of this apply.
func (ap *applying) lane(s pipelines.Step) (name string, width int) {
	planned := ap.planned[s.Address]
	if planned.Action == ActionReuse {
		return "reuse", 64
	}
	if r := ap.a.resource(*planned, ap.plan.source.Executors[s.Executor]); r.name != "" {
		return r.name, max(r.n/r.want, 1)
	}
	if ap.opts.Parallelism > 0 {
		return "", ap.opts.Parallelism
	}
	return "", 4
}

// ready says whether all that a step needs has completed, or what becomes of
// it when something has not.
func (ap *applying) ready(ctx context.Context, s pipelines.Step, outcomes map[pipelines.Address]StepOutcome) (bool, *StepOutcome) {
	all := true
	for _, n := range s.Needs {
		o, ended := outcomes[n]
		if ended && o.Status != pipelines.StatusCompleted {
			return false, &StepOutcome{Address: s.Address, Kind: s.Kind, Action: ap.planned[s.Address].Action, Status: pipelines.StatusSkipped, Range: s.Range,
				Error: fmt.Sprintf("%s, which it needs, %s", n, fate(o.Status))}
		}
		all = all && ended
	}
	if ctx.Err() != nil {
		return false, &StepOutcome{Address: s.Address, Kind: s.Kind, Action: ap.planned[s.Address].Action, Status: pipelines.StatusCancelled, Range: s.Range,
			Error: "cancelled before it started"}
	}
	return all, nil
}

// step decides a step with the results there are, and carries it out.
func (ap *applying) step(ctx context.Context, s pipelines.Step) StepOutcome {
	dec, err := ap.settled(ctx, s)
	if err != nil {
		return ap.failed(ctx, &dec, err)
	}
	if dec.Action == ActionReuse {
		if err := ap.fetch(ctx, &dec); err != nil {
			return ap.failed(ctx, &dec, err)
		}
		o := outcome(&dec)
		o.Status, o.RunID, o.JobID, o.Dir, o.Result = pipelines.StatusCompleted, dec.run.ID, dec.run.JobID, dec.run.Dir, dec.run.Result
		ap.keep(&dec, dec.run.Result)
		return o
	}
	o := ap.carryOut(ctx, &dec)
	if o.Status == pipelines.StatusCompleted {
		ap.keep(&dec, o.Result)
	}
	ap.tell(Notice{Type: NoticeStepEnded, Address: s.Address, RunID: o.RunID, JobID: o.JobID, Attempt: o.Attempts, Dir: o.Dir,
		Status: o.Status, Cause: o.Cause, Message: o.Error, Result: o.Result})
	return o
}

// failed is the outcome of a step that did not get to start.
func (ap *applying) failed(ctx context.Context, dec *decision, err error) StepOutcome {
	o := outcome(dec)
	o.Status, o.Cause, o.Error = pipelines.StatusFailed, causeOf(err), err.Error()
	if ctx.Err() != nil {
		o.Status, o.Cause = pipelines.StatusCancelled, ""
	}
	ap.tell(Notice{Type: NoticeStepEnded, Address: dec.step.Address, Status: o.Status, Cause: o.Cause, Message: o.Error})
	return o
}

// fetch brings the files of a reused run here if some step will run and may
// need them, and sends those that an earlier apply could not send.
func (ap *applying) fetch(ctx context.Context, dec *decision) error {
	archive := ap.a.Archive
	if archive == nil || !ap.plan.Changes {
		return nil
	}
	if err := archive.restoreResult(ctx, *dec.run); err != nil {
		return err
	}
	if rec, err := archive.record(ctx, dec.run.ID); err == nil && rec.Run.Status == pipelines.StatusCompleted || !exists(dec.run.Dir) {
		return nil
	}
	m := archive.mirror(ctx, ap.a.Store, dec.run.ID, func(n Notice) { n.Address = dec.Address; ap.tell(n) })
	m.finish(ctx, archivePatience)
	return nil
}

func (ap *applying) carryOut(ctx context.Context, dec *decision) StepOutcome {
	fail := func(err error) StepOutcome {
		o := outcome(dec)
		o.Status, o.Cause, o.Error = pipelines.StatusFailed, causeOf(err), err.Error()
		if pipelines.CodeOf(err) == pipelines.CodeCancelled || ctx.Err() != nil {
			o.Status, o.Cause = pipelines.StatusCancelled, ""
		}
		return o
	}
	exec, err := ap.a.Executor(dec.exec)
	if err != nil {
		return fail(err)
	}
	tell := func(n Notice) { n.Address = dec.Address; ap.tell(n) }
	if r := ap.a.resource(dec.PlannedStep, dec.exec); r.name != "" {
		orphan := func(slot int) (string, error) {
			var mine *pipelines.Run
			if dec.Action == ActionResume {
				mine = dec.run
			}
			return ap.a.orphan(ctx, slotDevice(dec, slot), slot, mine)
		}
		slots, release, err := ap.a.slots(ctx, r, orphan, tell)
		if err != nil {
			return fail(err)
		}
		defer release()
		ap.give(dec, slots)
	}
	s := &stepRun{a: ap.a, dec: dec, exec: exec, pipeline: ap.plan.Pipeline, applyID: ap.res.ApplyID, observe: ap.tell, jobID: ap.opts.JobIDs[dec.Address]}
	return s.do(ctx)
}

// give hands leased devices to a step. In a container they are counted from 0.
func (ap *applying) give(dec *decision, slots []int) {
	if isContainer(dec.exec) {
		if gpusOf(dec.exec) > 0 {
			dec.gpus = slots
		}
		return
	}
	t := *dec.spec.Train
	t.Device = slotDevice(dec, slots[0])
	dec.spec.Train = &t
}

// settled decides a step, after what an earlier apply left at work at its
// address has been stopped if it is out of date: its last checkpoint may be
// the one to go on from.
func (ap *applying) settled(ctx context.Context, s pipelines.Step) (decision, error) {
	dec, err := ap.decide(ctx, s)
	if err != nil || dec.Action == ActionReuse || dec.Action == ActionResume {
		return dec, err
	}
	tell := func(n Notice) { n.Address = s.Address; ap.tell(n) }
	stopped, err := ap.a.retire(ctx, ap.plan.Pipeline, s.Address, tell)
	if err != nil || stopped == 0 {
		return dec, err
	}
	return ap.decide(ctx, s)
}

// decide repeats the plan's decision with real results; for what the plan
// left open this is where it falls.
func (ap *applying) decide(ctx context.Context, s pipelines.Step) (decision, error) {
	ap.mu.Lock()
	known := pipelines.Results{}
	for _, n := range s.Needs {
		if r, ok := ap.results[n]; ok {
			known[n] = r
		}
	}
	ap.mu.Unlock()
	dec, err := ap.plan.decider.decide(ctx, s, known)
	if err == nil {
		err = append(slices.Clone(dec.problems), dec.gates...).Err(pipelines.CodeCheckFailed)
	}
	if err == nil && dec.ContentKey == "" {
		err = pipelines.Errorf(pipelines.CodeInternal, "%s still waits for %s after all it needs has completed", s.Address, AddressList(dec.waitsFor()))
	}
	if err == nil {
		ap.tell(Notice{Type: NoticeStepDecided, Address: s.Address, Step: &dec.PlannedStep})
	}
	return dec, err
}

func (ap *applying) keep(dec *decision, r *pipelines.Result) {
	ap.mu.Lock()
	defer ap.mu.Unlock()
	ap.decisions[dec.Address] = dec
	if r != nil {
		ap.results[dec.Address] = *r
	}
}
