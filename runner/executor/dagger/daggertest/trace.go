package daggertest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// trace is what the engine tells of the commands it was asked for.
type trace struct {
	mu    sync.Mutex
	spans []string
	more  chan struct{} // closed when there is one more
}

// traceKey is where a request's trace is in its context.
type traceKey struct{}

// traceOf is the trace that a request says it belongs to, as spans name it.
func traceOf(r *http.Request) string {
	parts := strings.Split(r.Header.Get("traceparent"), "-")
	if len(parts) < 2 {
		return ""
	}
	b, err := hex.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// ended tells of a command that ended, or of a result that the cache had.
func (t *trace) ended(ctx context.Context, cached bool) {
	attributes := ""
	if cached {
		attributes = `{"key":"dagger.io/dag.cached","value":{"boolValue":true}}`
	}
	id, _ := ctx.Value(traceKey{}).(string)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans = append(t.spans, fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%q,"name":"Container.withExec","endTimeUnixNano":"1","attributes":[%s]}]}]}]}`, id, attributes))
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

// serve sends what was told and is being told, until the client goes.
func (t *trace) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "event: subscribed\n\n")
	for sent := 0; ; {
		t.mu.Lock()
		spans := t.spans[sent:]
		if t.more == nil {
			t.more = make(chan struct{})
		}
		more := t.more
		t.mu.Unlock()
		for _, s := range spans {
			fmt.Fprintf(w, "event: spans\ndata: %s\n\n", s)
			sent++
		}
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
