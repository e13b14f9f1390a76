package web_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
	"github.com/trainwright/trainwright/runner/store/storetest"
	"github.com/trainwright/trainwright/web"
	"github.com/trainwright/trainwright/web/submit"
)

const (
	readToken  = "read-token-of-the-tests"
	writeToken = "write-token-of-the-tests"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// site is a server that listens, over a real store.
type site struct {
	t      *testing.T
	server *web.Server
	store  storetest.QueueStore
	addr   string
	stop   context.CancelFunc
	ended  chan error
	client *http.Client
	cancel atomic.Int64    // how often Cancel was called
	block  atomic.Bool     // Cancel waits until the server stops
	state  runner.RunState // of runs that have not ended
}

// newSite starts a server over a store with a completed, a running and a
// failed run (done, live, bad).
func newSite(t *testing.T, change func(*web.Config)) *site {
	t.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: store, ended: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}}
	fill(t, store, t.TempDir())
	read, err1 := web.GivenToken("r", web.ScopeRead, readToken)
	write, err2 := web.GivenToken("w", web.ScopeWrite, writeToken)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cfg := web.Config{
		Queue: store, Reports: store, Remote: store, Evaluator: agreeable{},
		Store: store, Control: control{s}, Adapters: fake.Registry(), Tokens: web.Tokens{read, write}, TokenStore: store, Framework: fake.Registry().Names()[0],
		Version: "test", Now: func() time.Time { return clock }, Poll: 5 * time.Millisecond, Drain: 5 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	if s.server, err = web.New(cfg); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	run, stop := context.WithCancel(ctx)
	s.stop = stop
	go func() { s.ended <- s.server.Serve(run, ln) }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			t.Error("the server does not stop")
		}
		store.Close()
	})
	return s
}

// agreeable finds nothing wrong with any pipeline.
type agreeable struct{}

func (agreeable) Evaluate(context.Context, submit.Operation, submit.Submission) (submit.Result, error) {
	return submit.Result{Report: hclspec.Report{Valid: true}, Pipeline: "submitted"}, nil
}

func (agreeable) Assist(context.Context, submit.Submission, submit.Question) (submit.Assistance, error) {
	return submit.Assistance{Completions: []hclspec.Completion{}}, nil
}

// control is what the server asks about processes.
type control struct{ s *site }

func (c control) State(_ context.Context, run pipelines.Run) (runner.RunState, error) {
	return cmp.Or(c.s.state, runner.RunLive), nil
}

func (c control) States(_ context.Context, standings []runner.Standing) map[string]runner.RunState {
	states := map[string]runner.RunState{}
	for _, st := range standings {
		states[st.Run.ID] = cmp.Or(c.s.state, runner.RunLive)
		if st.Run.Status.Ended() {
			states[st.Run.ID] = runner.RunEnded
		}
	}
	return states
}

func (c control) Cancel(ctx context.Context, run pipelines.Run) error {
	c.s.cancel.Add(1)
	if c.s.block.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	run.Status, run.Ended = pipelines.StatusCancelled, clock.Add(time.Hour)
	return c.s.store.UpdateRun(ctx, run)
}

// fill files what the tests look at.
func fill(t *testing.T, store runner.Store, dir string) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.CreateApply(ctx, pipelines.Apply{ID: "apply1", Pipeline: "p", Status: pipelines.StatusCompleted, Started: clock, Commit: "c1", Branch: "main"}))
	must(store.CreateApply(ctx, pipelines.Apply{ID: "apply2", Pipeline: "p", Status: pipelines.StatusRunning, Started: clock, Commit: "c2", Branch: "topic"}))
	best := &pipelines.Checkpoint{Name: "best", Path: "/x/best", SHA256: "ab", Epoch: 2, GlobalStep: 20, Metrics: map[string]float64{"accuracy": 0.9}}
	for _, r := range []pipelines.Run{
		{ID: "done", Pipeline: "p", Address: "train.a", ApplyID: "apply1", Status: pipelines.StatusRunning, Kind: pipelines.KindTrain, Adapter: "fake",
			Model: "tiny", TaskType: "image_classification", Inputs: []byte(`{"epochs":2}`), Attempts: 1, Created: clock, Started: clock, Dir: dir},
		{ID: "bad", Pipeline: "q", Address: "train.b", ApplyID: "apply1", Status: pipelines.StatusFailed, Kind: pipelines.KindTrain, Attempts: 1,
			Error: "no memory <script>alert(1)</script>", Cause: pipelines.CauseOOM, Created: clock, Started: clock, Ended: clock, Dir: dir},
		{ID: "live", Pipeline: "p", Address: "train.c", ApplyID: "apply2", Status: pipelines.StatusRunning, Kind: pipelines.KindTrain, Attempts: 1, Created: clock, Started: clock, Dir: dir},
	} {
		filed, err := store.CreateRun(ctx, r)
		must(err)
		must(store.CreateAttempt(ctx, pipelines.Attempt{RunID: r.ID, Number: 1, Status: r.Status, Dir: dir, Executor: "local", Started: clock}))
		if r.ID != "done" {
			continue
		}
		must(os.WriteFile(filepath.Join(dir, "output.log"), []byte("hello\nworld \xff\n"), 0o644))
		add(t, store, "done", 1,
			pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: &pipelines.ConfigApplied{Values: map[string]any{"optimizer.type": "sgd"}, Proof: "objects"}},
			metric(1, 10, 0.7), metric(2, 20, math.NaN()),
			pipelines.Event{Type: pipelines.EventValidation, Validation: &pipelines.Validation{Epoch: 2, GlobalStep: 20, TaskType: "image_classification", Split: "val",
				PrimaryName: "accuracy", PrimaryValue: 0.9, Loss: math.Inf(1), Metrics: map[string]float64{"accuracy": 0.9},
				PerClass: map[string]map[string]float64{"cat": {"recall": 1}}, Classes: []string{"cat", "dog"}, ConfusionMatrix: [][]int64{{1, 0}, {0, 1}},
				PRCurves: map[string]pipelines.PRCurve{"cat": {AP: 0.75, Thresholds: []pipelines.Float{0.9, 0.5}, Precision: []pipelines.Float{1, 0.5}, Recall: []pipelines.Float{0.5, 1}}},
				Samples:  []pipelines.SamplePrediction{{Path: "a.png", Confidence: 0.5}}}},
			pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: best},
			pipelines.Event{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info", Text: "two\nlines"}},
			pipelines.Event{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusCompleted,
				Artifacts: []pipelines.Artifact{{Name: "model.onnx", Path: "/x/model.onnx", SHA256: "cd", Size: 3}}}},
		)
		filed.Status, filed.Ended = pipelines.StatusCompleted, clock.Add(time.Minute)
		filed.Result = &pipelines.Result{RunID: "done", Metrics: map[string]float64{"accuracy": 0.9}, LastMetrics: map[string]float64{"loss": math.NaN()}, Best: best}
		must(store.UpdateRun(ctx, filed))
	}
	add(t, store, "live", 1, metric(1, 10, 0.5))
	_, err := store.AppendEvents(ctx, "live", []pipelines.Event{{Version: 1, Attempt: 1, Seq: 1000, Time: clock, Type: pipelines.EventProgress,
		Progress: &pipelines.Progress{Epoch: 1, Epochs: 4, Loss: 0.5, ETASeconds: 60}}})
	must(err)
}

func metric(epoch int, step int64, loss float64) pipelines.Event {
	return pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: epoch, GlobalStep: step, Split: "train", Values: map[string]float64{"loss": loss}}}
}

// add files events with seq from first on.
func add(t *testing.T, store runner.Store, run string, first int64, events ...pipelines.Event) {
	t.Helper()
	for i := range events {
		events[i].Version, events[i].Attempt, events[i].Seq, events[i].Time = 1, 1, first+int64(i), clock
	}
	if _, err := store.AppendEvents(context.Background(), run, events); err != nil {
		t.Fatal(err)
	}
}

// request is one request; headers alternate name and value. "Host" sets the host.
func (s *site) request(method, path, token, body string, headers ...string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, text
}

// get decodes a JSON answer.
func (s *site) get(path string, into any) *http.Response {
	s.t.Helper()
	res, body := s.request(http.MethodGet, path, "", "")
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, res.StatusCode, body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(into); err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
	return res
}
