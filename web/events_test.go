package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/web"
)

// sse is one server-sent event.
type sse struct{ id, name, data string }

// listen opens a stream.
func (s *site) listen(run, last string) (next func() (sse, error), end func()) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.addr+"/api/v1/runs/"+run+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("stream of %s: %d %v", run, res.StatusCode, res.Header)
	}
	lines := bufio.NewReader(res.Body)
	return func() (e sse, err error) {
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return e, err
				}
				line = strings.TrimSuffix(line, "\n")
				field, value, _ := strings.Cut(line, ": ")
				switch {
				case field == "id":
					e.id = value
				case field == "event":
					e.name = value
				case field == "data":
					e.data = value
				case line == "" && e.name != "":
					return e, nil
				}
			}
		}, func() {
			cancel()
			res.Body.Close()
		}
}

func TestStreamOfAnEndedRun(t *testing.T) {
	s := newSite(t, nil)
	next, end := s.listen("1", "")
	defer end()
	var got []string
	for {
		e, err := next()
		if err != nil {
			break
		}
		got = append(got, e.id+" "+e.name)
	}
	want := "1-1 config_applied,1-2 metrics,1-3 metrics,1-4 validation,1-5 checkpoint,1-6 message,1-7 result, run, end"
	if strings.Join(got, ",") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
	}
	if res, body := s.request("GET", "/api/v1/runs/done/events", "", "", "Last-Event-ID", "1-7"); res.StatusCode != 204 {
		t.Errorf("nothing is left: %d %s, want 204 so that browsers do not come back", res.StatusCode, body)
	}
}

// TestStreamResumes loses its connection again and again while events are
// filed, and misses and repeats none.
func TestStreamResumes(t *testing.T) {
	s := newSite(t, nil)
	const total = 1500 // more than a feed keeps
	go func() {
		for seq := int64(2); seq <= total; seq += 50 {
			var batch []pipelines.Event
			for i := seq; i < min(seq+50, total+1); i++ {
				batch = append(batch, metric(1, i*10, 0.5))
			}
			add(t, s.store, "live", seq, batch...)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	last, seen := "", 0
	for seen < total {
		next, end := s.listen("live", last)
		for range 170 {
			e, err := next()
			if err != nil {
				t.Fatalf("after %d events: %v", seen, err)
			}
			if e.id == "" {
				continue
			}
			seen++
			if want := fmt.Sprintf("1-%d", seen); e.id != want {
				t.Fatalf("event %s came where %s was due", e.id, want)
			}
			if last = e.id; seen == total {
				break
			}
		}
		end()
	}
}

// TestStreamTellsProgressAndEnd watches a run from two sides to its end.
func TestStreamTellsProgressAndEnd(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Heartbeat = 10 * time.Millisecond })
	ctx := context.Background()
	a, endA := s.listen("live", "")
	defer endA()
	b, endB := s.listen("3", "1-1")
	defer endB()
	until := func(next func() (sse, error), name, text string) {
		t.Helper()
		for {
			e, err := next()
			if err != nil {
				t.Fatalf("waiting for %s %q: %v", name, text, err)
			}
			if e.name == name && strings.Contains(e.data, text) {
				return
			}
		}
	}
	until(a, "progress", `"epoch":1`)
	until(b, "run", `"status":"running"`)
	_, err := s.store.AppendEvents(ctx, "live", []pipelines.Event{{Version: 1, Attempt: 1, Seq: 2000, Time: clock, Type: pipelines.EventProgress, Progress: &pipelines.Progress{Epoch: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	until(a, "progress", `"epoch":2`)
	until(b, "progress", `"epoch":2`)
	add(t, s.store, "live", 2001, pipelines.Event{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info", Text: "evil\n\nevent: end\ndata: x"}})
	until(a, "message", `evil\n\nevent: end`)
	run, err := s.store.Run(ctx, "live")
	if err != nil {
		t.Fatal(err)
	}
	run.Status, run.Ended = pipelines.StatusCompleted, clock
	if err := s.store.UpdateRun(ctx, run); err != nil {
		t.Fatal(err)
	}
	for _, next := range []func() (sse, error){a, b} {
		until(next, "end", `"completed"`)
		if _, err := next(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
}

// TestSlowReaderIsDropped opens a stream and does not read it.
func TestSlowReaderIsDropped(t *testing.T) {
	s := newSite(t, func(c *web.Config) {
		c.Stall = 100 * time.Millisecond
		c.Heartbeat = 20 * time.Millisecond
		c.Streams = 1
	})
	text := strings.Repeat("x", 64<<10)
	for i := range int64(20) {
		var batch []pipelines.Event
		for range 8 {
			batch = append(batch, pipelines.Event{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info", Text: text}})
		}
		add(t, s.store, "live", 2+8*i, batch...)
	}
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /api/v1/runs/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	open := func() bool {
		_, body := s.request("GET", "/metrics", "", "")
		return strings.Contains(string(body), "trainwright_streams 1")
	}
	wait(t, "the stream to open", open)
	if res, body := s.request("GET", "/api/v1/runs/live/events", "", ""); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d %s", res.StatusCode, body)
	}
	wait(t, "the slow reader to be dropped", func() bool { return !open() })
	next, end := s.listen("live", "1-161") // and it may come back
	defer end()
	if e, err := next(); err != nil || e.name == "end" {
		t.Errorf("after the drop: %+v, %v", e, err)
	}
}

// TestDrain stops the server under an open stream and an idle connection.
func TestDrain(t *testing.T) {
	s := newSite(t, nil)
	next, end := s.listen("live", "")
	defer end()
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	start := time.Now()
	s.stop()
	for err == nil {
		_, err = next()
	}
	if err != io.EOF {
		t.Errorf("the stream ended with %v, want a clean end", err)
	}
	select {
	case err := <-s.ended:
		s.ended <- err
		if err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("stopped after %v with %v", time.Since(start), err)
		}
	case <-time.After(8 * time.Second):
		t.Error("the server does not stop")
	}
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
