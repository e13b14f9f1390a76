package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// noticeCursor is how far somebody has read an apply: its notices, and the
// events of the runs that are at work.
type noticeCursor struct {
	Notice int64               `json:"n"`
	Runs   map[string]runEvent `json:"r,omitempty"`
}

// runEvent is where a run's events were read to.
type runEvent struct {
	Address  pipelines.Address `json:"a"`
	Attempt  int               `json:"t"`
	Seq      int64             `json:"s"`
	Progress int64             `json:"p,omitempty"` // global step last told, and one
}

func (c noticeCursor) String() string {
	text, _ := json.Marshal(c) // plain data
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text string) (noticeCursor, error) {
	c := noticeCursor{Runs: map[string]runEvent{}}
	if text == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Notice < 0 || len(c.Runs) > 10000 {
		return c, pipelines.Errorf(pipelines.CodeInvalid, "after: %.40q is no cursor of this route", text)
	}
	if c.Runs == nil {
		c.Runs = map[string]runEvent{}
	}
	return c, nil
}

// happened lists what is new since the cursor, in the order in which it was:
// a step's events stand between the notices of its start and its end.
func (s *Server) happened(ctx context.Context, id string, at *noticeCursor) ([]json.RawMessage, error) {
	out := []json.RawMessage{}
	add := func(n runner.Notice) error {
		text, err := json.Marshal(n)
		out = append(out, text)
		return err
	}
	for len(out) < feedPage {
		page, _, err := s.cfg.Queue.Notices(ctx, id, at.Notice, 100)
		if err != nil {
			return nil, err
		}
		for _, n := range page {
			if r, ok := at.Runs[n.RunID]; ok && (n.Type == runner.NoticeStepEnded || n.Type == runner.NoticeStepRetry) {
				if more, err := s.eventsOf(ctx, n.RunID, &r, add); err != nil || more {
					at.Runs[n.RunID] = r
					return out, err // the rest before its end
				}
				at.Runs[n.RunID] = r
				if n.Type == runner.NoticeStepEnded {
					delete(at.Runs, n.RunID)
				}
			}
			switch n.Type {
			case runner.NoticeStepStarted, runner.NoticeStepAdopted:
				// Events of attempts before are told already, or were before anybody listened.
				if r, ok := at.Runs[n.RunID]; !ok || n.Attempt > r.Attempt {
					at.Runs[n.RunID] = runEvent{Address: n.Address, Attempt: n.Attempt}
				}
			}
			if err := add(n); err != nil {
				return nil, err
			}
			at.Notice++
		}
		if len(page) < 100 {
			break
		}
	}
	for run, r := range at.Runs {
		_, err := s.eventsOf(ctx, run, &r, add)
		at.Runs[run] = r
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eventsOf tells a run's new events, at most a page of them, and its progress.
func (s *Server) eventsOf(ctx context.Context, run string, at *runEvent, add func(runner.Notice) error) (more bool, err error) {
	notice := func(e pipelines.Event) runner.Notice {
		return runner.Notice{Version: runner.NoticeVersion, Type: runner.NoticeStepEvent, Time: e.Time, Address: at.Address, RunID: run, Attempt: e.Attempt, Event: &e}
	}
	events, err := s.cfg.Store.Events(ctx, run, runner.EventID{Attempt: at.Attempt, Seq: at.Seq}, feedPage)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		if err := add(notice(e)); err != nil {
			return false, err
		}
		at.Attempt, at.Seq = e.Attempt, e.Seq
	}
	r, err := s.cfg.Store.Run(ctx, run)
	if err != nil {
		return false, err
	}
	if p := r.Progress; p != nil && p.GlobalStep >= at.Progress && !r.Status.Ended() {
		at.Progress = p.GlobalStep + 1
		err = add(notice(pipelines.Event{Version: pipelines.EventVersion, Attempt: r.Attempts, Time: s.cfg.Now(), Type: pipelines.EventProgress, Progress: p}))
	}
	return len(events) == feedPage, err
}

// jobNumber reads an integer job id.
func jobNumber(id string) (int64, bool) {
	job, err := strconv.ParseInt(id, 10, 64)
	return job, err == nil && job > 0
}
