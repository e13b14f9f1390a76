package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

const callbackPath = "/api/v1/internal/training/callback"

// report posts a callback and returns how many of its events were new.
func (s *site) report(body string) int {
	s.t.Helper()
	res, text := s.request("POST", callbackPath, writeToken, body)
	var out web.CallbackAnswer
	if res.StatusCode != 200 || json.Unmarshal(text, &out) != nil {
		s.t.Fatalf("callback %s: %d %s", body, res.StatusCode, text)
	}
	return out.New
}

func TestCallbackTakesEventsOnce(t *testing.T) {
	s := newSite(t, nil)
	body := `{"run_id":"live","events":[
		{"v":1,"attempt":1,"seq":50,"time":"2026-03-01T12:00:00Z","type":"metrics","metrics":{"epoch":5,"global_step":50,"split":"train","values":{"loss":"NaN","x":0.5}}},
		{"v":1,"attempt":1,"seq":51,"time":"2026-03-01T12:00:00Z","type":"message","message":{"level":"info","text":"hello"}}]}`
	if a, b := s.report(body), s.report(body); a != 2 || b != 0 {
		t.Errorf("new %d, then %d; want 2, 0", a, b)
	}
}

// TestCallbackTakesThePlatformsShapes sends what the platform's logger does.
func TestCallbackTakesThePlatformsShapes(t *testing.T) {
	s := newSite(t, nil)
	run, err := s.store.Run(context.Background(), "live")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		body string
		want int
	}{
		{`{"job_id":%d,"type":"metrics","id":"m1","epoch":0,"loss":0.7,"accuracy":0.5,"learning_rate":0.001,"extra_metrics":{"val_loss":0.8,"f1":0.4}}`, 2},
		{`{"job_id":"%d","event_type":"status","id":"s1","status":"running"}`, 1},
		{`{"job_id":%d,"type":"log","id":"l1","message":"Starting data loading","level":"INFO"}`, 1},
		{`{"job_id":%d,"type":"validation","id":"v1","epoch":0,"task_type":"image_classification","primary_metric_name":"accuracy","primary_metric_value":0.5,"overall_loss":0.8,"metrics":{"f1":0.4},"per_class_metrics":{"cat":{"recall":0.5}},"confusion_matrix":[[1,0],[1,0]],"pr_curves":{"cat":{"ap":1,"thresholds":[0.5],"precision":[1],"recall":[1]}},"checkpoint_path":"/x"}`, 1},
		{`{"job_id":%d,"type":"checkpoint","id":"c1","epoch":0,"checkpoint_path":"/x/epoch_0.pth"}`, 1},
		{`{"job_id":%d,"callbacks":[{"type":"message","id":"b1","message":"one"},{"type":"message","id":"b2","message":"two"}]}`, 2},
	} {
		body := fmt.Sprintf(c.body, run.JobID)
		if a, b := s.report(body), s.report(body); a != c.want || b != 0 {
			t.Errorf("%s: new %d, then %d; want %d, 0", body, a, b, c.want)
		}
	}
	rows, err := s.store.Metrics(context.Background(), runner.MetricFilter{RunID: "live", Split: "val"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, r := range rows {
		if r.Epoch == 1 && r.Class == "" {
			got[r.Name] = r.Value
		}
	}
	if got["accuracy"] != 0.5 || got["loss"] != 0.8 || got["f1"] != 0.4 {
		t.Errorf("validation metrics of epoch 1: %v", got)
	}
	if v, err := s.store.Validations(context.Background(), "live"); err != nil || len(v) == 0 || v[0].PRCurves["cat"].AP != 1 {
		t.Errorf("validations %+v, %v: a curve is missing", v, err)
	}
	for body, want := range map[string]string{
		`{"job_id":1,"type":"dance"}`:                          "none of metrics",
		`{"job_id":1,"type":"status","status":"bored"}`:        "none of running",
		`{"job_id":1,"type":"validation"}`:                     "primary_metric_name",
		`{"job_id":1,"type":"metrics"}`:                        "without a number",
		`{"job_id":1}`:                                         "nothing in it",
		`{"job_id":99,"type":"message","message":"x"}`:         "no run",
		`{"run_id":"live","events":[{"attempt":0,"seq":1}]}`:   "count from 1",
		`{"run_id":"live","events":[{"attempt":"x","seq":1}]}`: "no callback",
	} {
		if res, text := s.request("POST", callbackPath, writeToken, body); res.StatusCode/100 != 4 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s, want %q", body, res.StatusCode, text, want)
		}
	}
}

// TestCallbackWithTheRunsOwnToken reports one run, and nothing else.
func TestCallbackWithTheRunsOwnToken(t *testing.T) {
	s := newSite(t, nil)
	_, secret, err := web.MakeToken(context.Background(), s.store, web.ScopeReport, "live", "", 0, clock)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", callbackPath, `{"run_id":"live","type":"message","message":"x"}`, 200},
		{"POST", callbackPath, `{"run_id":"done","type":"message","message":"x"}`, 403},
		{"POST", "/api/v1/training/jobs/live/stop", `{}`, 403},
		{"GET", "/api/v1/runs/live", "", 403},
	} {
		if res, text := s.request(c.method, c.path, secret, c.body); res.StatusCode != c.want {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, res.StatusCode, text, c.want)
		}
	}
}

// TestNoticesCarryEvents reads an apply to its end while it goes on.
func TestNoticesCarryEvents(t *testing.T) {
	s := newSite(t, nil)
	ctx := context.Background()
	q := runner.Queue(s.store)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := q.Submit(ctx, runner.Submission{ID: "a1", Kind: runner.SubmissionApply, Pipeline: "p", Resource: "cpu", State: runner.SubmissionQueued, Created: clock, Work: []byte("{}")})
	must(err)
	lease := runner.Lease{Owner: "o", Holder: runner.NewHolder("t"), For: clock.Sub(clock.Add(-1e12))}
	_, ok, err := q.Claim(ctx, lease, map[string]int{"cpu": 1}, clock)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	must(q.AppendNotices(ctx, "a1", 0, []runner.Notice{{Version: 1, Type: runner.NoticeStepStarted, Address: "train.c", RunID: "live", Attempt: 1}}))
	read := func(cursor string) (web.NoticeList, []string) {
		var list web.NoticeList
		s.get("/api/v1/applies/a1/notices?after="+cursor, &list)
		var kinds []string
		for _, raw := range list.Notices {
			var n runner.Notice
			must(json.Unmarshal(raw, &n))
			kind := string(n.Type)
			if n.Event != nil {
				kind = string(n.Event.Type)
			}
			kinds = append(kinds, kind)
		}
		return list, kinds
	}
	first, kinds := read("")
	if got := strings.Join(kinds, " "); got != "step_started metrics progress" {
		t.Errorf("first: %s", got)
	}
	add(t, s.store, "live", 2, metric(2, 20, 0.4), pipelines.Event{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusCompleted}})
	must(q.AppendNotices(ctx, "a1", 1, []runner.Notice{{Version: 1, Type: runner.NoticeStepEnded, Address: "train.c", RunID: "live", Attempt: 1}, {Version: 1, Type: runner.NoticeApplyEnded}}))
	must(q.Finish(ctx, "a1", "o", runner.Ending{Status: pipelines.StatusFailed, ExitCode: 4, Code: pipelines.CodeStepFailed, Error: "no"}, clock))
	second, kinds := read(first.Cursor)
	if got := strings.Join(kinds, " "); got != "metrics result step_ended apply_ended" || second.Done {
		t.Errorf("second: %s, done %v", got, second.Done)
	}
	last, kinds := read(second.Cursor)
	if len(kinds) != 0 || !last.Done || last.Apply.ExitCode == nil || *last.Apply.ExitCode != 4 {
		t.Errorf("last: %v %+v", kinds, last)
	}
	if res, _ := s.request("GET", "/api/v1/applies/a1/notices?after=%7B", "", ""); res.StatusCode != 422 {
		t.Errorf("a cursor that is none: %d", res.StatusCode)
	}
}

// A stock trainer's status becomes progress and metrics, once.
func TestTrainerStatus(t *testing.T) {
	s := newSite(t, nil)
	const path = "/api/v1/trainjobs/live/status"
	status := `{"trainerStatus":{"progressPercentage":45,"estimatedRemainingSeconds":790,"lastUpdatedTime":"2026-01-23T10:30:45Z",
		"metrics":[{"name":"loss","value":"0.25"},{"name":"epoch","value":2},{"name":"step","value":"900"}]}}`
	for i, want := range []string{`"new":2`, `"new":0`} {
		res, text := s.request("POST", path, writeToken, status)
		if res.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("time %d: %d %s, want %s", i, res.StatusCode, text, want)
		}
	}
	if _, text := s.request("GET", "/api/v1/runs/live/metrics", "", ""); !strings.Contains(string(text), `"global_step":900`) || !strings.Contains(string(text), `0.25`) {
		t.Errorf("metrics: %s", text)
	}
	// A run that has ended keeps its numbers, and the trainer is told.
	_, before := s.request("GET", "/api/v1/runs/done", "", "")
	_, curves := s.request("GET", "/api/v1/runs/done/metrics", "", "")
	res, text := s.request("POST", "/api/v1/trainjobs/done/status", writeToken, status)
	s.document().check("POST", "/api/v1/trainjobs/{id}/status", res, text)
	if res.StatusCode != 200 || !strings.Contains(string(text), `"new":0`) || !strings.Contains(string(text), `"ignored":"the run has ended (completed)`) {
		t.Errorf("after the end: %d %s", res.StatusCode, text)
	}
	if _, after := s.request("GET", "/api/v1/runs/done", "", ""); string(after) != string(before) {
		t.Errorf("the ended run was %s, is %s", before, after)
	}
	if _, after := s.request("GET", "/api/v1/runs/done/metrics", "", ""); string(after) != string(curves) {
		t.Errorf("the ended run's metrics were %s, are %s", curves, after)
	}
	for body, want := range map[string]string{
		`{"trainerStatus":{"progressPercentage":45}}`:                                                             "lastUpdatedTime",
		`{"trainerStatus":{"lastUpdatedTime":"2026-01-23T10:30:45Z"}}`:                                            "neither",
		`{"trainerStatus":{"lastUpdatedTime":"2026-01-23T10:30:45Z","metrics":[{"name":"loss","value":"good"}]}}`: "",
		`[]`: "no trainerStatus",
	} {
		if res, text := s.request("POST", path, writeToken, body); res.StatusCode/100 != 4 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s, want %q", body, res.StatusCode, text, want)
		}
	}
}
