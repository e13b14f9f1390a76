package runner

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// history is what the store knows that bears on a step.
type history struct {
	pipeline    string
	addresses   []pipelines.Address   // where the step's state may stand: its address, then moved ones
	last        *pipelines.Run        // last run at the address that left something; else the last one
	point       *pipelines.Checkpoint // from which training can go on after last; nil = none
	reusable    *pipelines.Run        // completed with the same content key
	filesGone   bool                  // the files of reusable are not on this machine
	interrupted *pipelines.Run        // not completed, with the same content key, at the address
	nextAttempt int                   // of interrupted
	live        Liveness              // of its open attempt; "" = it has none, or it cannot be told
}

func (d *decider) history(ctx context.Context, dec *decision) (history, error) {
	h := history{pipeline: d.pipe.Name, addresses: append([]pipelines.Address{dec.Address}, moved(d.pipe, dec.Address)...)}
	var here []pipelines.Run
	for _, a := range h.addresses {
		runs, err := d.p.Store.Runs(ctx, RunFilter{Pipeline: d.pipe.Name, Address: a, Limit: 50})
		if err != nil {
			return h, err
		}
		if len(runs) > 0 {
			here = runs
			break
		}
	}
	if err := d.last(ctx, &h, here); err != nil {
		return h, err
	}
	if dec.ContentKey == "" {
		return h, nil
	}
	if i := slices.IndexFunc(here, func(r pipelines.Run) bool {
		return r.ContentKey == dec.ContentKey && r.Status != pipelines.StatusCompleted && r.Status != pipelines.StatusSkipped
	}); i >= 0 && !completedSince(here[:i], dec.ContentKey) {
		if err := d.interrupted(ctx, &h, &here[i], dec.exec); err != nil {
			return h, err
		}
	}
	return h, d.reusable(ctx, &h, dec.ContentKey)
}

// interrupted looks at a run that has not completed. One that never had an
// attempt is nothing to go on from.
func (d *decider) interrupted(ctx context.Context, h *history, run *pipelines.Run, cfg pipelines.ExecutorConfig) error {
	attempts, err := d.p.Store.Attempts(ctx, run.ID)
	if err != nil || len(attempts) == 0 {
		return err
	}
	h.interrupted, h.nextAttempt = run, nextAttempt(attempts)
	for _, at := range attempts {
		if exec, err := d.p.Executor(cfg); err == nil && !at.Status.Ended() {
			if live, err := exec.Probe(ctx, at); err == nil { // apply asks again, and waits for an answer
				h.live = live
			}
		}
	}
	return nil
}

// last finds the run to compare with and the checkpoint to go on from.
func (d *decider) last(ctx context.Context, h *history, here []pipelines.Run) error {
	for i := range here {
		r := &here[i]
		if r.Kind != pipelines.KindTrain {
			if h.last = r; r.Status == pipelines.StatusCompleted {
				return nil
			}
			continue
		}
		point, err := d.resumePoint(ctx, r)
		if err != nil {
			return err
		}
		if point != nil || r.Status == pipelines.StatusCompleted {
			h.last, h.point = r, point
			return nil
		}
	}
	if len(here) > 0 {
		h.last = &here[0]
	}
	return nil
}

// resumePoint is the newest checkpoint of a run that is still there.
func (d *decider) resumePoint(ctx context.Context, r *pipelines.Run) (*pipelines.Checkpoint, error) {
	if r.Result != nil && r.Result.Latest != nil && d.available(r, r.Result.Latest.Path) {
		return r.Result.Latest, nil
	}
	list, err := d.p.Store.Checkpoints(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	var newest *pipelines.Checkpoint
	for i := range list {
		c := &list[i]
		if c.Name != "best" && d.available(r, c.Path) && (newest == nil || c.GlobalStep > newest.GlobalStep ||
			c.GlobalStep == newest.GlobalStep && c.Name == "latest") {
			newest = c
		}
	}
	if newest != nil && newest.RunID == "" {
		newest.RunID = r.ID
	}
	return newest, nil
}

// reusable finds a completed run of the same content key, anywhere in the
// store; one at the step's own address first, then the newest.
func (d *decider) reusable(ctx context.Context, h *history, key string) error {
	runs, err := d.p.Store.Runs(ctx, RunFilter{ContentKey: key, Status: pipelines.StatusCompleted, Limit: 100})
	if err != nil {
		return err
	}
	slices.SortStableFunc(runs, func(a, b pipelines.Run) int { return h.distance(a) - h.distance(b) })
	for i := range runs {
		if runs[i].Result != nil && d.filesAvailable(&runs[i]) {
			h.reusable, h.filesGone = &runs[i], false
			return nil
		}
		if h.reusable == nil && runs[i].Result != nil {
			h.reusable, h.filesGone = &runs[i], true
		}
	}
	return nil
}

func (h *history) distance(r pipelines.Run) int {
	switch {
	case r.Pipeline == h.pipeline && slices.Contains(h.addresses, r.Address):
		return 0
	case r.Pipeline == h.pipeline:
		return 1
	}
	return 2
}

func completedSince(newer []pipelines.Run, key string) bool {
	return slices.ContainsFunc(newer, func(r pipelines.Run) bool {
		return r.ContentKey == key && r.Status == pipelines.StatusCompleted
	})
}

// nextAttempt is the number of the attempt that continues a run: that of one
// that has not ended, else one more.
func nextAttempt(attempts []pipelines.Attempt) int {
	next := 1
	for _, a := range attempts {
		if !a.Status.Ended() {
			return a.Number
		}
		next = max(next, a.Number+1)
	}
	return next
}

// filesAvailable reports that what a run's result points at is on this machine
// or can be brought here.
func (d *decider) filesAvailable(run *pipelines.Run) bool {
	if r := run.Result; r.Best != nil && !d.available(run, r.Best.Path) {
		return false
	}
	for _, a := range run.Result.Artifacts {
		if !d.available(run, a.Path) {
			return false
		}
	}
	for _, path := range run.Result.Outputs {
		if !exists(path) {
			return false
		}
	}
	return true
}

// available reports that a file of a run is here or in the archive.
func (d *decider) available(run *pipelines.Run, path string) bool {
	return exists(path) || d.p.Archive.has(run.ID, run.Dir, path)
}

func exists(path string) bool {
	if strings.Contains(path, "://") {
		return true // a store of blobs keeps it
	}
	_, err := os.Stat(path)
	return err == nil
}
