package daggertest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// trace is what the engine tells of the commands it was asked for: batches by
// the path at which they are followed.
type trace struct {
	mu   sync.Mutex
	told map[string][]string
	more chan struct{} // closed when there is one more
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

// called tells of the call of a command: what the cache has not is still to be run.
func (t *trace) called(ctx context.Context, cached bool) {
	attribute := "pending"
	if cached {
		attribute = "cached"
	}
	id, _ := ctx.Value(traceKey{}).(string)
	for _, attributes := range []string{"", `{"key":"dagger.io/dag.` + attribute + `","value":{"boolValue":true}}`} { // when it begins, and at its end
		t.add("/v1/traces", fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%q,"name":"Container.withExec","attributes":[%s]}]}]}]}`, id, attributes))
	}
}

// output tells what a command writes.
type output struct {
	trace *trace
	id    string
}

// Write tells it at once.
func (o output) Write(b []byte) (int, error) {
	text, err := json.Marshal(string(b))
	if err != nil {
		return 0, err
	}
	o.trace.add("/v1/logs", fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":%q,"body":{"stringValue":%s},"attributes":[{"key":"stdio.stream","value":{"intValue":"1"}}]}]}]}]}`, o.id, text))
	return len(b), nil
}

func (t *trace) add(path, batch string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == nil {
		t.told = map[string][]string{}
	}
	t.told[path] = append(t.told[path], batch)
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
		batches := t.told[r.URL.Path][sent:]
		if t.more == nil {
			t.more = make(chan struct{})
		}
		more := t.more
		t.mu.Unlock()
		for _, b := range batches {
			fmt.Fprintf(w, "event: batch\ndata: %s\n\n", b)
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
