package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// eventTypes are the names of server-sent events that carry a filed event.
var eventTypes = []pipelines.EventType{
	pipelines.EventConfigApplied, pipelines.EventResumed, pipelines.EventStatus, pipelines.EventMetrics,
	pipelines.EventValidation, pipelines.EventCheckpoint, pipelines.EventMessage, pipelines.EventResult,
}

func (s *Server) eventsRoute() answer {
	a := text("text/event-stream", s.events)
	a.responses["200"].Description = "Each filed event with its id ATTEMPT-SEQ, its type as event name and its JSON as data (docs/protocol.md). " +
		"Without id, as they are now: progress, and run when its status changes. end when the run has ended and everything was sent."
	a.responses["204"] = &huma.Response{Description: "The run has ended, and nothing came after the last event id: do not connect again"}
	str := &huma.Schema{Type: huma.TypeString}
	a.params = []*huma.Param{
		{Name: "id", In: "path", Required: true, Description: "a run's id, or its job_id", Schema: str},
		{Name: "Last-Event-ID", In: "header", Description: "go on after this event", Schema: str},
		{Name: "after", In: "query", Description: "the same, for a first connection", Schema: str},
	}
	return a
}

// events streams a run's events from a position on, until the run ends.
func (s *Server) events(c *fiber.Ctx) error {
	run, err := s.find(c.UserContext(), c.Params("id"))
	if err != nil {
		return err
	}
	given := c.Get("Last-Event-ID", c.Query("after"))
	pos, err := parseEventID(given)
	if err != nil {
		return err
	}
	if given != "" && run.Status.Ended() {
		rest, err := s.cfg.Store.Events(c.UserContext(), run.ID, pos, 1)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			return c.SendStatus(http.StatusNoContent)
		}
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no") // proxies pass each event on at once
	if c.Method() == fiber.MethodHead {
		return nil
	}
	fd, leave, ok := s.feeds.join(run)
	if !ok {
		c.Set(fiber.HeaderRetryAfter, "30")
		return problem(http.StatusServiceUnavailable, pipelines.CodeUnavailable, "too many streams are open")
	}
	conn := c.Context().Conn()
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer leave()
		st := &stream{s: s, feed: fd, out: &sse{conn: conn, w: w, stall: s.cfg.Stall}, pos: pos}
		if err := st.follow(); err != nil {
			s.cfg.Log.Debug("a stream ended", "run", run.ID, "error", err)
		}
	})
	return nil
}

// stream is one reader of a run's feed. It takes events at its own pace; one
// that does not take them for cfg.Stall is dropped, and may come back with its
// last event id, missing nothing.
type stream struct {
	s    *Server
	feed *feed
	out  teller
	pos  runner.EventID
	seen pipelines.Run   // as last told
	done <-chan struct{} // the reader wants no more; nil = it never says so
}

// teller is how a reader is told: server-sent events, or messages of a WebSocket.
type teller interface {
	// send tells of one event; id is "" of what has none.
	send(id, name string, v any) error
	// flush hands over what was sent.
	flush() error
	// alive tells that the stream lives although nothing happens.
	alive() error
}

func (st *stream) follow() error {
	beat := time.NewTicker(st.s.cfg.Heartbeat)
	defer beat.Stop()
	for {
		run, wake := st.feed.now()
		if err := st.catchUp(); err != nil {
			return err
		}
		if err := st.tell(run); err != nil || run.Status.Ended() {
			return err
		}
		select {
		case <-st.s.stop.Done():
			return nil
		case <-st.done:
			return nil
		case <-wake:
		case <-beat.C:
			if err := st.out.alive(); err != nil {
				return err
			}
		}
	}
}

// catchUp sends every event after the position.
func (st *stream) catchUp() error {
	for {
		events, more, err := st.feed.after(st.s.stop, st.pos)
		if err != nil {
			return err
		}
		for _, e := range events {
			name := string(e.Type)
			if !slices.Contains(eventTypes, e.Type) {
				name = "event"
			}
			if err := st.out.send(formatEventID(place(e)), name, e); err != nil {
				return err
			}
			st.pos = place(e)
		}
		if err := st.out.flush(); err != nil || !more {
			return err
		}
	}
}

// tell sends what has no id: where the run is now.
func (st *stream) tell(run pipelines.Run) error {
	first := st.seen.ID == ""
	if run.Progress != nil && (first || changed(pipelines.Run{Progress: st.seen.Progress}, pipelines.Run{Progress: run.Progress})) {
		if err := st.out.send("", "progress", progressOf(run.Progress)); err != nil {
			return err
		}
	}
	if first || run.Status != st.seen.Status || run.Attempts != st.seen.Attempts {
		if err := st.out.send("", "run", runOf(run)); err != nil {
			return err
		}
	}
	st.seen = run
	if run.Status.Ended() {
		if err := st.out.send("", "end", map[string]any{"status": run.Status}); err != nil {
			return err
		}
	}
	return st.out.flush()
}

// sse writes server-sent events.
type sse struct {
	conn  net.Conn
	w     *bufio.Writer
	stall time.Duration
	begun bool
}

func (o *sse) send(id, name string, v any) error {
	data, err := json.Marshal(v) // one line
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return o.write("%sevent: %s\ndata: %s\n\n", id, name, data)
}

func (o *sse) alive() error {
	if err := o.write(": alive\n\n"); err != nil {
		return err
	}
	return o.flush()
}

func (o *sse) write(format string, args ...any) error {
	if err := o.extend(); err != nil {
		return err
	}
	if !o.begun {
		o.begun = true
		format = "retry: 2000\n\n" + format
	}
	_, err := fmt.Fprintf(o.w, format, args...)
	return err
}

// flush hands over what was written, within the time a reader may take.
func (o *sse) flush() error {
	if err := o.extend(); err != nil {
		return err
	}
	return o.w.Flush()
}

// extend gives the reader time for what is written next. Writing blocks while
// the reader takes nothing, so that a stalled one gets no more of it.
func (o *sse) extend() error {
	return o.conn.SetWriteDeadline(time.Now().Add(o.stall))
}

func formatEventID(id runner.EventID) string {
	return strconv.Itoa(id.Attempt) + "-" + strconv.FormatInt(id.Seq, 10)
}

func parseEventID(text string) (runner.EventID, error) {
	if text == "" {
		return runner.EventID{}, nil
	}
	a, q, ok := strings.Cut(text, "-")
	attempt, err1 := strconv.Atoi(a)
	seq, err2 := strconv.ParseInt(q, 10, 64)
	if !ok || err1 != nil || err2 != nil || attempt < 0 || seq < 0 {
		return runner.EventID{}, problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, "the last event id is ATTEMPT-SEQ, as in 1-42")
	}
	return runner.EventID{Attempt: attempt, Seq: seq}, nil
}
