package dagger

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"dagger.io/dagger/engineconn"
)

// traced is a connection whose requests are one trace, so that of what a
// session tells (it may be shared) this client's part can be known.
type traced struct {
	engineconn.EngineConn
	trace [16]byte
}

func newTraced(conn engineconn.EngineConn) (*traced, error) {
	t := &traced{EngineConn: conn}
	_, err := rand.Read(t.trace[:])
	return t, err
}

// Do sends a request as part of the trace.
func (t *traced) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("traceparent", fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(t.trace[:]), hex.EncodeToString(t.trace[:8])))
	return t.EngineConn.Do(r)
}

// told is what an engine tells of the commands that this client asks for,
// while they run: what they write, and which its cache answered. An engine
// that tells nothing is no error.
type told struct {
	trace string    // as the engine writes it
	out   io.Writer // gets what commands write

	mu      sync.Mutex
	written strings.Builder // to out
	ran     bool            // a command is run, or was
	cached  bool            // a command was answered from the cache
	changed chan struct{}   // has an element after a change
}

// late is how long what has happened may take until it is told.
const late = 2 * time.Second

// listen follows the session until the context ends.
func (t *traced) listen(ctx context.Context, out io.Writer) *told {
	x := &told{trace: base64.StdEncoding.EncodeToString(t.trace[:]), out: out, changed: make(chan struct{}, 1)}
	go t.follow(ctx, "/v1/traces", x.spans)
	go t.follow(ctx, "/v1/logs", x.logs)
	return x
}

// follow reads a stream of server-sent events, a batch of telemetry each.
func (t *traced) follow(ctx context.Context, path string, take func(batch)) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Host()+path, nil)
	if err != nil {
		return
	}
	res, err := t.EngineConn.Do(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var b batch
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && json.Unmarshal(data, &b) == nil {
			take(b)
		}
	}
}

// batch is what matters here of OpenTelemetry's JSON.
type batch struct {
	ResourceSpans []struct {
		ScopeSpans []struct {
			Spans []struct {
				TraceID    string     `json:"traceId"`
				Name       string     `json:"name"`
				Attributes attributes `json:"attributes"`
			} `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
	ResourceLogs []struct {
		ScopeLogs []struct {
			LogRecords []struct {
				TraceID    string     `json:"traceId"`
				Body       value      `json:"body"`
				Attributes attributes `json:"attributes"`
			} `json:"logRecords"`
		} `json:"scopeLogs"`
	} `json:"resourceLogs"`
}

type value struct {
	Text string `json:"stringValue"`
	Bool bool   `json:"boolValue"`
}

type attributes []struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

func (a attributes) find(key string) (value, bool) {
	for _, e := range a {
		if e.Key == key {
			return e.Value, true
		}
	}
	return value{}, false
}

func (x *told) spans(b batch) {
	for _, r := range b.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				if span.TraceID != x.trace || span.Name != "Container.withExec" {
					continue
				}
				// The call is told of when it begins, with neither, and when it
				// has ended: with the cache's result, or the promise of one.
				cached, _ := span.Attributes.find("dagger.io/dag.cached")
				pending, _ := span.Attributes.find("dagger.io/dag.pending")
				x.change(func() { x.ran, x.cached = x.ran || pending.Bool, x.cached || cached.Bool })
			}
		}
	}
}

func (x *told) logs(b batch) {
	for _, r := range b.ResourceLogs {
		for _, s := range r.ScopeLogs {
			for _, record := range s.LogRecords {
				_, stream := record.Attributes.find("stdio.stream")
				verbose, _ := record.Attributes.find("dagger.io/logs.verbose") // values of other calls
				if record.TraceID == x.trace && stream && !verbose.Bool && record.Body.Text != "" {
					x.change(func() {
						x.written.WriteString(record.Body.Text)
						fmt.Fprint(x.out, record.Body.Text)
					})
				}
			}
		}
	}
}

func (x *told) change(do func()) {
	x.mu.Lock()
	do()
	x.mu.Unlock()
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// wait waits until something is so, for no longer than it takes to be told.
func (x *told) wait(so func() bool) bool {
	for end := time.After(late); ; {
		x.mu.Lock()
		yes := so()
		x.mu.Unlock()
		if yes {
			return true
		}
		select {
		case <-x.changed:
		case <-end:
			return false
		}
	}
}

// fromCache reports that every command was answered from the cache.
func (x *told) fromCache() bool {
	x.wait(func() bool { return x.ran || x.cached })
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cached && !x.ran
}

// rest is what of a command's whole output was not written yet.
func (x *told) rest(whole string, cached bool) string {
	if cached {
		return whole
	}
	x.wait(func() bool { return x.written.Len() >= len(whole) })
	x.mu.Lock()
	defer x.mu.Unlock()
	if done := x.written.String(); strings.HasPrefix(whole, done) {
		return whole[len(done):]
	}
	if x.written.Len() >= len(whole) {
		return "" // the two streams in another order
	}
	return whole
}
