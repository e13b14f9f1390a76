package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// collector takes an attempt's events home: it proves the applied config,
// files events in the store, tells the observer, and keeps what decides how
// the attempt ended.
type collector struct {
	store   Store
	tell    func(Notice)
	task    pipelines.Task
	spec    pipelines.Spec
	refuse  func() // stops the step when the proof fails
	poll    time.Duration
	asked   context.Context // ends when the apply is asked to stop
	seen    int64           // highest seq taken
	broken  bool            // events could not be filed
	applied *pipelines.ConfigApplied
	failed  Problems // of the proof; nothing after it is taken
	result  *pipelines.StepResult
	state   *pipelines.StatusReport
	last    *pipelines.Progress
	latest  *pipelines.Checkpoint
}

// sink is a Sink. An event is filed before it is told; one that comes again is dropped.
func (c *collector) sink(ctx context.Context, events []pipelines.Event) error {
	var fresh []pipelines.Event
	for _, e := range events {
		if e.Seq <= c.seen || c.failed != nil {
			continue
		}
		if !c.take(e) {
			continue
		}
		c.seen = e.Seq
		fresh = append(fresh, e)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := c.file(ctx, fresh); err != nil {
		c.broken = true
		return err
	}
	for i := range fresh {
		c.tell(Notice{Type: NoticeStepEvent, Attempt: c.task.Attempt, Event: &fresh[i]})
	}
	return nil
}

// take looks at one event and reports whether it counts.
func (c *collector) take(e pipelines.Event) bool {
	switch e.Type {
	case pipelines.EventConfigApplied:
		c.applied = e.ConfigApplied
		c.prove(prove(c.task, c.spec, *e.ConfigApplied))
		return true // it is filed even if it fails: people will want to see it
	case pipelines.EventMetrics, pipelines.EventCheckpoint, pipelines.EventValidation:
		if c.task.Train != nil && c.applied == nil {
			c.prove(proofMissing(c.spec, e.Type))
			return false
		}
	}
	switch e.Type {
	case pipelines.EventProgress:
		c.last = e.Progress
	case pipelines.EventCheckpoint:
		c.latest = e.Checkpoint
	case pipelines.EventStatus:
		c.state = e.Status
	case pipelines.EventResult:
		if c.task.Train != nil && c.applied == nil && e.Result.State == pipelines.StatusCompleted {
			c.prove(proofMissing(c.spec, e.Type))
			return false
		}
		c.result = e.Result
	}
	return true
}

// prove tells warnings, and stops the step on an error.
func (c *collector) prove(found Problems) {
	for i := range found {
		if found[i].Severity == SeverityWarning {
			c.tell(Notice{Type: NoticeWarning, Attempt: c.task.Attempt, Problem: &found[i]})
		}
	}
	if errs := found.Errors(); len(errs) > 0 {
		c.failed = errs
		c.refuse()
	}
}

// file stores events, and waits for a store that is away: the spool keeps
// them meanwhile and the step goes on.
func (c *collector) file(ctx context.Context, events []pipelines.Event) error {
	delay := c.poll
	for try := 0; ; try++ {
		_, err := c.store.AppendEvents(ctx, c.task.RunID, events)
		if err == nil || ctx.Err() != nil {
			return err
		}
		switch pipelines.CodeOf(err) {
		case pipelines.CodeInvalid, pipelines.CodeNotFound, pipelines.CodeConflict:
			return err // trying again cannot help
		}
		if try == 0 {
			p := warning(pipelines.Range{}, "Events cannot be stored",
				"%s: %s. The step goes on and keeps them in its spool; storing is tried again.", c.spec.Address, err)
			c.tell(Notice{Type: NoticeWarning, Attempt: c.task.Attempt, Problem: &p})
		}
		if !Sleep(ctx, delay) || (c.asked.Err() != nil && try > 3) {
			return fmt.Errorf("events of %s are in its spool and could not be stored: %w", c.spec.Address, err)
		}
		delay = min(2*delay, maxStorePause)
	}
}

// maxStorePause bounds how long after its return a store is noticed.
const maxStorePause = 4 * time.Second

// Sleep waits, and reports false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// pretrained is the hash of the pretrained weights that the step used.
func (c *collector) pretrained() string {
	if c.applied == nil {
		return ""
	}
	return c.applied.Environment["pretrained_sha256"]
}
