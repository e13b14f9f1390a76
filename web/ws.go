package web

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

const wsPath = "/api/v1/ws"

// Bounds of one connection.
const (
	wsRuns    = 64   // subscriptions at once
	wsMessage = 4096 // bytes of a message that it sends
)

// wsAsk is what a watcher sends.
type wsAsk struct {
	Op    string `json:"op"` // subscribe | unsubscribe
	Run   string `json:"run"`
	After string `json:"after"` // go on after this event
}

// wsTold is what a watcher gets: a filed event with its id, or without one
// progress, run and end as server-sent events have them; subscribed,
// unsubscribed, error and dropped.
type wsTold struct {
	Run   string `json:"run,omitempty"` // its id
	ID    string `json:"id,omitempty"`  // ATTEMPT-SEQ
	Event string `json:"event"`
	Data  any    `json:"data,omitempty"`
}

func (s *Server) wsRoute() answer {
	str := &huma.Schema{Type: huma.TypeString}
	return answer{handler: s.ws,
		params: []*huma.Param{
			{Name: "run", In: "query", Description: "subscribe to this run at once", Schema: str},
			{Name: "after", In: "query", Description: "go on after this event of it", Schema: str},
		},
		responses: map[string]*huma.Response{"101": {Description: `Messages are JSON. Sent: {"op": "subscribe", "run": ID, "after": "1-42"}, {"op": "unsubscribe", "run": ID}. ` +
			`Received: {"run", "id", "event", "data"} as the server-sent events of a run; subscribed, unsubscribed, error; ` +
			`dropped, with the last id of each run, before a reader that is too slow is closed. ` +
			`A token comes as a header, a session's cookie, or Sec-WebSocket-Protocol: trainwright, bearer.TOKEN`}},
	}
}

// ws opens a connection that watches runs.
func (s *Server) ws(c *fiber.Ctx) error {
	if !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return problem(http.StatusUpgradeRequired, pipelines.CodeInvalid, "this is a WebSocket; GET /api/v1/runs/{id}/events has the same by plain HTTP")
	}
	if err := s.checkOrigin(c); err != nil {
		return err
	}
	secret, _, err := credential(c)
	if err != nil {
		return err
	}
	var token Token
	if secret != "" {
		token, _ = s.lookup(c.UserContext(), secret) // authorize took it, or does without
	}
	first := wsAsk{Op: "subscribe", Run: c.Query("run"), After: c.Query("after")}
	upgrader := websocket.FastHTTPUpgrader{
		Subprotocols: []string{protocolName},
		CheckOrigin:  func(*fasthttp.RequestCtx) bool { return true }, // checked above, by the rule of all routes
		Error:        func(*fasthttp.RequestCtx, int, error) {},       // told as a problem
	}
	if err := upgrader.Upgrade(c.Context(), func(conn *websocket.Conn) { s.watch(conn, token, first) }); err != nil {
		return problem(http.StatusBadRequest, pipelines.CodeInvalid, "the WebSocket handshake is wrong: "+err.Error())
	}
	return nil
}

// watch serves one connection until it or the server ends.
func (s *Server) watch(conn *websocket.Conn, token Token, first wsAsk) {
	s.mu.Lock()
	if s.stop.Err() != nil {
		s.mu.Unlock()
		return
	}
	s.jobs.Add(1)
	s.mu.Unlock()
	defer s.jobs.Done()
	ctx, end := context.WithCancel(s.stop)
	w := &watcher{s: s, conn: conn, token: token, ctx: ctx, end: end, runs: map[string]context.CancelFunc{}, last: map[string]string{}}
	defer w.streams.Wait()
	defer end()
	conn.SetReadLimit(wsMessage)
	patience := 2*s.cfg.Heartbeat + s.cfg.Stall
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // it is not closed yet
	conn.SetPongHandler(func(string) error {
		err := conn.SetReadDeadline(time.Now().Add(patience))
		if ctx.Err() != nil {
			w.hush()
		}
		return err
	})
	w.streams.Go(w.ping)
	if first.Run != "" {
		w.ask(first)
	}
	for ctx.Err() == nil {
		var ask wsAsk
		if err := conn.ReadJSON(&ask); err != nil {
			return
		}
		w.ask(ask)
	}
}

// watcher is one connection. Everything is written under mu.
type watcher struct {
	s       *Server
	conn    *websocket.Conn
	token   Token
	ctx     context.Context
	end     context.CancelFunc
	streams sync.WaitGroup

	mu   sync.Mutex
	last map[string]string // id of the last event written, by run
	over bool              // nothing is written any more

	asked sync.Mutex
	runs  map[string]context.CancelFunc
}

func (w *watcher) ask(a wsAsk) {
	w.asked.Lock()
	defer w.asked.Unlock()
	refuse := func(err error) {
		_ = w.write(wsTold{Run: a.Run, Event: "error", Data: w.s.problemOf(err)}) // a lost connection is seen by reading
	}
	run, err := w.s.find(w.ctx, a.Run)
	if err == nil && w.token.Scope == ScopeRun && run.ID != w.token.RunID {
		err = problem(http.StatusForbidden, codeForbidden, "this token is for another run")
	}
	pos, perr := parseEventID(a.After)
	stop, open := w.runs[run.ID]
	switch {
	case err != nil:
		refuse(err)
	case perr != nil:
		refuse(perr)
	case a.Op == "unsubscribe":
		if open {
			stop()
			delete(w.runs, run.ID)
		}
		_ = w.write(wsTold{Run: run.ID, Event: "unsubscribed"}) // as above
	case a.Op != "subscribe":
		refuse(problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, `"op" is subscribe or unsubscribe`))
	case open:
		refuse(pipelines.Errorf(pipelines.CodeConflict, "run %s is watched already", run.ID))
	case len(w.runs) >= wsRuns:
		refuse(pipelines.Errorf(pipelines.CodeConflict, "a connection watches %d runs at most", wsRuns))
	default:
		w.subscribe(run, pos)
	}
}

// subscribe follows a run in a goroutine of its own. The caller holds asked.
func (w *watcher) subscribe(run pipelines.Run, pos runner.EventID) {
	fd, leave, ok := w.s.feeds.join(run)
	if !ok {
		_ = w.write(wsTold{Run: run.ID, Event: "error", Data: problem(http.StatusServiceUnavailable, pipelines.CodeUnavailable, "too many streams are open")})
		return
	}
	ctx, stop := context.WithCancel(w.ctx)
	w.runs[run.ID] = stop
	if err := w.write(wsTold{Run: run.ID, Event: "subscribed", Data: map[string]string{"after": formatEventID(pos)}}); err != nil {
		stop()
		leave()
		return // reading sees the lost connection
	}
	w.streams.Go(func() {
		defer leave()
		st := &stream{s: w.s, feed: fd, out: &wsRun{w, run.ID, ctx}, pos: pos, done: ctx.Done()}
		if err := st.follow(); err != nil {
			w.s.cfg.Log.Debug("a stream ended", "run", run.ID, "error", err)
		}
		if ctx.Err() == nil { // the run ended: it may be asked for again
			w.asked.Lock()
			delete(w.runs, run.ID)
			w.asked.Unlock()
		}
		stop()
	})
}

// wsRun tells of one run.
type wsRun struct {
	w   *watcher
	run string
	ctx context.Context
}

func (o *wsRun) send(id, name string, v any) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	return o.w.write(wsTold{Run: o.run, ID: id, Event: name, Data: v})
}

func (o *wsRun) flush() error { return nil }
func (o *wsRun) alive() error { return nil } // pings do it

// write sends one message. A reader that takes it, but not in time, is told the
// last id of each run that it was sent, and dropped: it may come back with them.
func (w *watcher) write(m wsTold) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return context.Canceled
	}
	began := time.Now()
	_ = w.conn.SetWriteDeadline(began.Add(w.s.cfg.GiveUp)) // writing fails where it cannot be set
	err := w.conn.WriteJSON(m)
	if err == nil && m.ID != "" {
		w.last[m.Run] = m.ID
	}
	if took := time.Since(began); err == nil && took > w.s.cfg.Stall {
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.s.cfg.Stall)) // it has just taken something
		_ = w.conn.WriteJSON(wsTold{Event: "dropped", Data: map[string]any{"last": w.last, "detail": "the reader was too slow; subscribe again after these ids"}})
		w.close(websocket.ClosePolicyViolation, "too slow")
		err = context.DeadlineExceeded
	}
	if err != nil {
		w.over = true
		w.end()
		w.hush()
	}
	return err
}

// hush ends reading, and so the connection: fasthttp closes it once watch
// returns, and not before.
func (w *watcher) hush() { _ = w.conn.SetReadDeadline(time.Now()) } // fails where it is closed already

// close says why. The caller holds mu.
func (w *watcher) close(code int, why string) {
	_ = w.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second)) // the last that is said
}

// ping keeps the connection and ends it: with the server, and with its token.
func (w *watcher) ping() {
	beat := time.NewTicker(w.s.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-w.ctx.Done():
			w.mu.Lock()
			if !w.over {
				w.over = true
				w.close(websocket.CloseGoingAway, "the server is stopping")
			}
			w.mu.Unlock()
			w.hush()
			return
		case <-beat.C:
		}
		if !w.holds() {
			w.mu.Lock()
			w.over = true
			w.close(websocket.ClosePolicyViolation, "the token does not hold any more")
			w.mu.Unlock()
			w.end()
			continue
		}
		if err := w.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(w.s.cfg.Stall)); err != nil && !strings.Contains(err.Error(), "timeout") {
			w.end()
		}
	}
}

// holds reports that the token that opened the connection was not revoked and
// has not expired since.
func (w *watcher) holds() bool {
	if w.token.ID == "" || w.s.cfg.TokenStore == nil {
		return true
	}
	t, err := w.s.cfg.TokenStore.TokenByHash(w.ctx, w.token.SHA256)
	if err != nil {
		return true // one that the server was started with, or a store that does not answer now
	}
	return t.Holds(w.s.cfg.Now())
}
