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
	"net/http"
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

// execs listens to what the engine tells of the commands that this client
// asks for: whether one was answered from the cache.
type execs struct {
	trace string // as the engine writes it
	mu    sync.Mutex
	heard map[bool]bool // cached -> a command ended so
	news  chan struct{} // has one element after something was heard
}

// listen follows the session's trace until the context ends. A session that
// tells none is no error: nothing is then known.
func (t *traced) listen(ctx context.Context) *execs {
	x := &execs{trace: base64.StdEncoding.EncodeToString(t.trace[:]), heard: map[bool]bool{}, news: make(chan struct{}, 1)}
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Host()+"/v1/traces", nil)
		if err != nil {
			return
		}
		res, err := t.EngineConn.Do(r)
		if err != nil {
			return
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 64<<20) // a line is a batch of spans
		for lines.Scan() {
			if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
				x.take(data)
			}
		}
	}()
	return x
}

// take reads one batch: OpenTelemetry's JSON.
func (x *execs) take(data []byte) {
	var batch struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID    string `json:"traceId"`
					Name       string `json:"name"`
					End        string `json:"endTimeUnixNano"`
					Attributes []struct {
						Key   string `json:"key"`
						Value struct {
							Bool bool `json:"boolValue"`
						} `json:"value"`
					} `json:"attributes"`
				} `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	if json.Unmarshal(data, &batch) != nil {
		return
	}
	for _, r := range batch.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				if span.TraceID != x.trace || span.Name != "Container.withExec" || span.End == "" || span.End == "0" {
					continue
				}
				cached := false
				for _, a := range span.Attributes {
					cached = cached || a.Key == "dagger.io/dag.cached" && a.Value.Bool
				}
				x.mu.Lock()
				x.heard[cached] = true
				x.mu.Unlock()
				select {
				case x.news <- struct{}{}:
				default:
				}
			}
		}
	}
}

// cached reports that every command was answered from the cache. What has
// happened is told a little later, and waited for no longer than that.
func (x *execs) cached() bool {
	for late := time.After(2 * time.Second); ; {
		x.mu.Lock()
		ran, cached := x.heard[false], x.heard[true]
		x.mu.Unlock()
		if ran || cached {
			return !ran
		}
		select {
		case <-x.news:
		case <-late:
			return false
		}
	}
}
