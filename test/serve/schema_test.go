package serve

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
)

// TestSchemathesis has Schemathesis make requests from the server's OpenAPI
// document with a token of each role, and with none: no answer is a server
// error or other than the document says, and what a role may not do is 401 or
// 403 whatever is sent (roles.py). Nothing that is started trains: nobody works
// on the queue.
func TestSchemathesis(t *testing.T) {
	tool := os.Getenv("RUNNER_TEST_SCHEMATHESIS")
	if tool == "" {
		t.Skip("RUNNER_TEST_SCHEMATHESIS names no schemathesis: make test-api")
	}
	const admin, reader = "admin-token-of-the-serve-tests", "read-token-of-the-serve-tests"
	s := newSite(t, "", "RUNNER_ADMIN_TOKEN="+admin, "RUNNER_READ_TOKEN="+reader)
	saved := filepath.Join(s.dir, "saved")
	if err := os.Mkdir(saved, 0o755); err != nil {
		t.Fatal(err)
	}
	s.start("--workers", "0", "--save-root", saved)
	seedRun(t, s)
	// An admin reaches every handler, and is asked most.
	s.schemathesis(tool, "open,read,login,ask,write,admin", "--header", "Authorization: Bearer "+admin,
		"--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "15", "--max-time", "85")
	for _, role := range []struct{ may, token string }{{"open,read,login,ask,write", token}, {"open,read,login,ask", reader}, {"open,read,login", ""}} {
		args := []string{"--phases", "examples,fuzzing", "--max-examples", "3", "--max-time", "14", "--generation-with-security-parameters", "false"}
		if role.token != "" {
			args = append(args, "--header", "Authorization: Bearer "+role.token)
		}
		s.schemathesis(tool, role.may, args...)
	}
	if _, ok := get(t, s, "/api/v1/status"); !ok {
		t.Error("the server does not answer any more")
	}
}

// schemathesis asks as somebody who passes the rules that may lists.
func (s *site) schemathesis(tool, may string, args ...string) {
	s.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(tool, append([]string{"run", "http://" + s.addr + "/openapi.json",
		"--checks", "not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance,response_headers_conformance,refused",
		"--generation-deterministic", "--seed", "1",
		// A GET becomes a stream there.
		"--exclude-path-regex", "/events$|/api/v1/ws$",
		"--request-timeout", "60", "--suppress-health-check", "all", "--no-color", "--warnings", "off", "--continue-on-failure"}, args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=roles", "PYTHONPATH="+here, "PYTHONDONTWRITEBYTECODE=1", "RUNNER_TEST_MAY="+may)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	s.t.Logf("who may %s: %s\n%s", may, time.Since(began).Round(time.Second), out)
	if err != nil {
		s.t.Errorf("who may %s: %v", may, err)
	}
}

// seedRun files a run that has ended, with something of everything.
func seedRun(t *testing.T, s *site) {
	t.Helper()
	ctx := context.Background()
	remote, err := storehttp.Open(ctx, "http://"+s.addr, token)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	run, err := remote.CreateRun(ctx, pipelines.Run{ID: "r", Pipeline: "p", Address: "train.t", Status: pipelines.StatusRunning, Kind: pipelines.KindTrain,
		Adapter: "fake", Model: "tiny", TaskType: "image_classification", Created: now, Started: now, Inputs: []byte(`{"a":1}`), Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.CreateAttempt(ctx, pipelines.Attempt{RunID: "r", Number: 1, Status: pipelines.StatusCompleted, Dir: s.dir, Started: now, Ended: now}); err != nil {
		t.Fatal(err)
	}
	best := pipelines.Checkpoint{Name: "best", Path: s.dir, Epoch: 1, GlobalStep: 10, Metrics: map[string]float64{"accuracy": 0.5}}
	events := []pipelines.Event{
		{Type: pipelines.EventConfigApplied, ConfigApplied: &pipelines.ConfigApplied{Values: map[string]any{"optimizer.type": "adamw"}, Proof: "objects"}},
		{Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info", Text: "begun"}},
		{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: 1, GlobalStep: 10, Split: "train", Values: map[string]float64{"loss": 0.5}}},
		{Type: pipelines.EventValidation, Validation: &pipelines.Validation{Epoch: 1, GlobalStep: 10, TaskType: "image_classification", Split: "val", PrimaryName: "accuracy", PrimaryValue: 0.5,
			PerClass: map[string]map[string]float64{"cat": {"recall": 1}}, Classes: []string{"cat", "dog"}, ConfusionMatrix: [][]int64{{1, 0}, {1, 0}}}},
		{Type: pipelines.EventCheckpoint, Checkpoint: &best},
		{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusCompleted, Artifacts: []pipelines.Artifact{{Name: "model.onnx", Path: filepath.Join(s.dir, "none"), Size: 3}}}},
	}
	for i := range events {
		events[i].Version, events[i].Attempt, events[i].Seq, events[i].Time = pipelines.EventVersion, 1, int64(i+1), now
	}
	if _, err := remote.AppendEvents(ctx, "r", events); err != nil {
		t.Fatal(err)
	}
	run.Status, run.Ended, run.Result = pipelines.StatusCompleted, now, &pipelines.Result{Metrics: best.Metrics, Best: &best}
	if err := remote.UpdateRun(ctx, run); err != nil {
		t.Fatal(err)
	}
}
