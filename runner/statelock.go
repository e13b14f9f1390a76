package runner

import (
	"context"
	"errors"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// lock takes a pipeline's state lock and returns what gives it back. A holder
// that is gone is taken over, which is told; a live one is waited for as long
// as opts.LockTimeout.
func (a *Applier) lock(ctx context.Context, pipeline string, opts ApplyOptions, tell func(Notice)) (unlock func() error, err error) {
	op := opts.Operation
	if op == "" {
		op = "apply"
	}
	me := NewHolder(op)
	deadline := time.Now().Add(opts.LockTimeout)
	for waiting := false; ; {
		err := a.Store.Lock(ctx, pipeline, me)
		if err == nil {
			return func() error { return a.Store.Unlock(context.WithoutCancel(ctx), pipeline, me.ID) }, nil
		}
		var locked *LockedError
		if !errors.As(err, &locked) {
			return nil, err
		}
		if HolderGone(locked.Holder) {
			// Only this lock is removed: if another process was faster, its
			// own has a different id and stays.
			if err := a.Store.Unlock(ctx, pipeline, locked.Holder.ID); err == nil {
				tell(Notice{Type: NoticeLockTakenOver, Message: "took over the state lock of a process that is gone: " + locked.Holder.String()})
			} else if c := pipelines.CodeOf(err); c != pipelines.CodeNotFound && c != pipelines.CodeConflict {
				return nil, err
			}
			continue
		}
		if !time.Now().Before(deadline) {
			return nil, err
		}
		if !waiting {
			waiting = true
			tell(Notice{Type: NoticeLockWaiting, Message: "waiting for the state lock held by " + locked.Holder.String()})
		}
		if !Sleep(ctx, min(a.poll(), time.Until(deadline))) {
			return nil, pipelines.Errorf(pipelines.CodeCancelled, "cancelled while waiting for the state lock held by %s", locked.Holder)
		}
	}
}
