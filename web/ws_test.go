package web_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/web"
)

type told struct {
	Run, ID, Event string
	Data           struct {
		Last   map[string]string
		Status any
		Code   string
	}
}

// dial opens a WebSocket; header alternates name and value. A small buffer
// makes a reader slow soon.
func (s *site) dial(query string, small bool, header ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil && small {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	return d.Dial("ws://"+s.addr+"/api/v1/ws"+query, h)
}

func (s *site) watch(query string, small bool) *websocket.Conn {
	s.t.Helper()
	c, _, err := s.dial(query, small)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// until reads until an event of that name, and returns the ids that came.
func until(t *testing.T, c *websocket.Conn, event string) (ids []string, at told) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var m told
		if err := c.ReadJSON(&m); err != nil {
			t.Errorf("waiting for %s: %v", event, err)
			return ids, m
		}
		if m.ID != "" {
			ids = append(ids, m.Run+" "+m.ID)
		}
		if m.Event == event {
			return ids, m
		}
	}
}

func TestManyWatchersGetEveryEvent(t *testing.T) {
	s := newSite(t, nil)
	const watchers, events = 100, 50
	var all sync.WaitGroup
	for range watchers {
		c := s.watch("?run=live", false)
		all.Go(func() {
			ids, _ := until(t, c, "end")
			if len(ids) != events+1 { // one stood there before
				t.Errorf("%d events, want %d", len(ids), events+1)
			}
			for i := 1; i < len(ids); i++ {
				if ids[i] == ids[i-1] {
					t.Errorf("%s came twice", ids[i])
				}
			}
		})
	}
	for i := range int64(events) {
		add(t, s.store, "live", 2000+i, metric(2, 20+i, 0.4))
	}
	run, err := s.store.Run(t.Context(), "live")
	if err != nil {
		t.Fatal(err)
	}
	run.Status = pipelines.StatusCompleted
	if err := s.store.UpdateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// file adds many events of some size to a run, after those that it has.
func (s *site) file(run string, events int) {
	s.t.Helper()
	text := strings.Repeat("x", 4000)
	for i := 0; i < events; i += 500 {
		var batch []pipelines.Event
		for range 500 {
			batch = append(batch, pipelines.Event{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info", Text: text}})
		}
		add(s.t, s.store, run, int64(2000+i), batch...)
	}
}

// take reads until n messages of a run came, or the reader was dropped; last is
// what it was told to go on after.
func take(t *testing.T, c *websocket.Conn, n int) (ids []string, last string) {
	t.Helper()
	for len(ids) < n {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		var m told
		if err := c.ReadJSON(&m); err != nil {
			t.Fatalf("after %d events: %v", len(ids), err)
		}
		switch m.Event {
		case "dropped":
			return ids, m.Data.Last["live"]
		case "message":
			ids = append(ids, m.ID)
		}
	}
	return ids, ""
}

// TestASlowReaderIsDroppedAndResumes lets a reader stall, hear of it, and come
// back. On a busy machine the server may be as slow as the reader: then it
// stalls for longer.
func TestASlowReaderIsDroppedAndResumes(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Stall, c.GiveUp = 500*time.Millisecond, time.Minute })
	const events = 4000
	s.file("live", events)
	var got []string
	var last string
	for pause := 2 * time.Second; last == "" && pause < time.Minute; pause *= 2 {
		c := s.watch("?run=live&after=1-1999", true)
		time.Sleep(pause)
		got, last = take(t, c, events)
	}
	if len(got) == 0 || len(got) >= events || last != got[len(got)-1] {
		t.Fatalf("%d events, dropped with %q after %v", len(got), last, got[max(0, len(got)-1):])
	}
	for len(got) < events {
		again := s.watch("", false)
		if err := again.WriteJSON(map[string]string{"op": "subscribe", "run": "live", "after": got[len(got)-1]}); err != nil {
			t.Fatal(err)
		}
		more, _ := take(t, again, events-len(got)) // it may be dropped again
		got = append(got, more...)
	}
	for i, id := range got {
		if want := fmt.Sprintf("1-%d", 2000+i); id != want {
			t.Fatalf("event %d is %s, want %s", i, id, want)
		}
	}
}

func TestOneConnectionWatchesSeveralRuns(t *testing.T) {
	s := newSite(t, nil)
	c := s.watch("?run=done", false)
	for _, m := range []map[string]string{
		{"op": "subscribe", "run": "live"}, {"op": "subscribe", "run": "live"}, {"op": "subscribe", "run": "none"},
		{"op": "shout", "run": "bad"}, {"op": "subscribe", "run": "bad", "after": "x"}, {"op": "unsubscribe", "run": "live"},
	} {
		if err := c.WriteJSON(m); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for seen["end done"] == 0 || seen["unsubscribed live"] == 0 {
		var m told
		if err := c.ReadJSON(&m); err != nil {
			t.Fatal(err, seen)
		}
		name := m.Event + " " + m.Run
		if m.Event == "error" {
			name += " " + m.Data.Code
		}
		seen[name]++
	}
	for _, want := range []string{"subscribed done", "subscribed live", "error live conflict", "error none not_found", "error bad invalid", "validation done"} {
		if seen[want] == 0 {
			t.Errorf("%s is missing in %v", want, seen)
		}
	}
	if seen["error bad invalid"] != 2 {
		t.Errorf("%v", seen)
	}
}

func TestWhoMayWatch(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Public = true })
	secrets := s.secrets()
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"nobody":         {nil, 401},
		"header":         {[]string{"Authorization", "Bearer " + readToken}, 101},
		"subprotocol":    {[]string{"Sec-WebSocket-Protocol", "trainwright, bearer." + readToken}, 101},
		"wrong":          {[]string{"Sec-WebSocket-Protocol", "trainwright, bearer.wrong-token-of-tests"}, 401},
		"foreign origin": {[]string{"Authorization", "Bearer " + readToken, "Origin", "https://evil.example"}, 403},
		"own origin":     {[]string{"Authorization", "Bearer " + readToken, "Origin", "http://" + s.addr}, 101},
		"expired":        {[]string{"Authorization", "Bearer " + secrets["expired"]}, 401},
	} {
		conn, res, err := s.dial("", false, c.header...)
		if res == nil || res.StatusCode != c.want {
			t.Errorf("%s: %v, %v; want %d", name, res, err, c.want)
		}
		if err == nil {
			conn.Close()
		}
	}
	one, _, err := s.dial("?run=live", false, "Authorization", "Bearer "+secrets["run-status"])
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if _, m := until(t, one, "error"); m.Data.Code != "forbidden" {
		t.Errorf("another run: %+v", m)
	}
	if err := one.WriteJSON(map[string]string{"op": "subscribe", "run": "1"}); err != nil {
		t.Fatal(err)
	}
	until(t, one, "end")
}

func TestWatchersEndWithTheirTokenAndTheServer(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Heartbeat = 50 * time.Millisecond })
	token, secret, err := web.MakeToken(t.Context(), s.store, web.ScopeRead, "", "", 0, clock)
	if err != nil {
		t.Fatal(err)
	}
	mine, _, err := s.dial("?run=live", false, "Authorization", "Bearer "+secret)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	other := s.watch("?run=live", false)
	ended := func(c *websocket.Conn, code int) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				if !websocket.IsCloseError(err, code) {
					t.Errorf("ended with %v, want %d", err, code)
				}
				return
			}
		}
	}
	if _, err := web.RevokeToken(t.Context(), s.store, token.ID, clock); err != nil {
		t.Fatal(err)
	}
	ended(mine, websocket.ClosePolicyViolation)
	s.stop()
	ended(other, websocket.CloseGoingAway)
}

// TestAReaderThatTakesNothingIsClosed stalls for good.
func TestAReaderThatTakesNothingIsClosed(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Stall, c.GiveUp = time.Minute, time.Second })
	s.file("live", 4000)
	c := s.watch("?run=live", true)
	time.Sleep(3 * time.Second)
	for n := 0; ; n++ {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		_, _, err := c.ReadMessage()
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("after %d messages the connection stays open", n)
		}
		if err != nil {
			return
		}
	}
}
