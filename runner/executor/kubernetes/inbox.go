package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// inbox hands events on in the order of their numbers, each once. What the
// log has lost (rotated away, cut off) it takes from the spool.
type inbox struct {
	sink    runner.Sink
	path    string // of the spool
	attempt int
	spool   *spool.Reader
	home    *home // nil = the spool is on a volume that the pod writes to
	redact  runner.Redactor
	say     func(string)
	seq     int64 // of the last event handed on
	result  *pipelines.StepResult
	gap     bool // events were passed over
}

func newInbox(job runner.Job, sink runner.Sink, say func(string)) *inbox {
	b := &inbox{sink: sink, say: say, redact: runner.NewRedactor(job.Secrets),
		path: filepath.Join(job.Task.AttemptDir, spool.EventsFile), attempt: job.Task.Attempt}
	b.spool = spool.NewReader(b.path, b.attempt, 0)
	return b
}

// How long it may take until a shared folder, or a bucket, shows what the log
// has shown.
const (
	gapPatience       = 3 * time.Second
	bucketGapPatience = 40 * time.Second
)

// take takes events of the log.
func (b *inbox) take(ctx context.Context, events []pipelines.Event) error {
	var batch []pipelines.Event
	next := b.seq + 1
	for _, e := range events {
		if e.Seq < next {
			continue
		}
		if e.Seq > next {
			if err := b.hand(ctx, batch); err != nil {
				return err
			}
			batch = nil
			if err := b.fillUpTo(ctx, e.Seq-1); err != nil {
				return err
			}
			if e.Seq <= b.seq {
				next = b.seq + 1
				continue
			}
			if e.Seq > b.seq+1 {
				b.gap = true
				b.say(fmt.Sprintf("events %d to %d are missing in the pod's log and in the spool", b.seq+1, e.Seq-1))
			}
		}
		batch = append(batch, e)
		next = e.Seq + 1
	}
	return b.hand(ctx, batch)
}

func (b *inbox) fillUpTo(ctx context.Context, seq int64) error {
	patience, every := gapPatience, 100*time.Millisecond
	if b.home != nil {
		patience, every = bucketGapPatience, 2*time.Second
	}
	for end := time.Now().Add(patience); ; {
		if err := b.fill(ctx); err != nil || b.seq >= seq || time.Now().After(end) {
			return err
		}
		if !runner.Sleep(ctx, every) {
			return ctx.Err()
		}
	}
}

// finish takes what an attempt that has ended left: all of it is home then.
func (b *inbox) finish(ctx context.Context) error {
	if err := b.home.bring(ctx); err != nil {
		return err
	}
	if b.gap { // what was missing may be there now; the rest comes again
		b.seq, b.spool = 0, spool.NewReader(b.path, b.attempt, 0)
	}
	if err := b.read(ctx); err != nil {
		return err
	}
	if b.result != nil && b.result.State == pipelines.StatusCompleted {
		b.home.remove(ctx)
	}
	return nil
}

// fill hands on all that the spool has now.
func (b *inbox) fill(ctx context.Context) error {
	b.home.bringEvents(ctx)
	return b.read(ctx)
}

func (b *inbox) read(ctx context.Context) error {
	for {
		before := b.spool.Offset()
		events, err := b.spool.Next()
		var bad *spool.LineError
		if err != nil && !errors.As(err, &bad) { // the pod tells of bad lines
			b.say(fmt.Sprintf("the spool cannot be read: %s", err))
			return nil
		}
		if err := b.hand(ctx, events); err != nil {
			return err
		}
		if b.spool.Offset() == before {
			return nil
		}
	}
}

func (b *inbox) hand(ctx context.Context, events []pipelines.Event) error {
	var fresh []pipelines.Event
	for _, e := range events {
		if e.Seq > b.seq {
			fresh = append(fresh, e)
			b.seq = e.Seq
			if e.Result != nil {
				b.result = e.Result
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	b.redact.Events(fresh)
	return b.sink(ctx, fresh)
}
