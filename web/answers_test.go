package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

func TestStatusIsOnePollForCI(t *testing.T) {
	s := newSite(t, nil)
	var all web.StatusList
	res := s.get("/api/v1/status", &all)
	if all.State != "running" || all.Total != 3 || all.Count["failed"] != 1 {
		t.Errorf("status %+v", all)
	}
	tag := res.Header.Get("ETag")
	for header, want := range map[string]int{tag: 304, `"other", W/` + tag: 304, `"other"`: 200} {
		if res, body := s.request("GET", "/api/v1/status", "", "", "If-None-Match", header); res.StatusCode != want || (want == 304) != (len(body) == 0) {
			t.Errorf("If-None-Match %s: %d %s", header, res.StatusCode, body)
		}
	}
	for query, want := range map[string]string{
		"pipeline=q": "failed", "branch=topic": "running", "commit=c1&pipeline=p": "completed", "commit=c9": "none",
	} {
		var one web.StatusList
		s.get("/api/v1/status?"+query, &one)
		if one.State != want {
			t.Errorf("status?%s is %q, want %q", query, one.State, want)
		}
	}
	for _, r := range all.Runs {
		switch r.RunID {
		case "done":
			if r.Best["accuracy"] != 0.9 || r.State != "ended" {
				t.Errorf("done: %+v", r)
			}
		case "live":
			if r.Progress == nil || r.Progress.ETASeconds != 60 || r.State != "live" {
				t.Errorf("live: %+v", r)
			}
		}
	}
	run, err := s.store.Run(context.Background(), "live")
	if err != nil {
		t.Fatal(err)
	}
	run.Status = pipelines.StatusCompleted
	if err := s.store.UpdateRun(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	if res, _ := s.request("GET", "/api/v1/status", "", "", "If-None-Match", tag); res.StatusCode != 200 {
		t.Errorf("after a change: %d", res.StatusCode)
	}
}

func TestRunsArePaged(t *testing.T) {
	s := newSite(t, nil)
	var seen []string
	for path := "/api/v1/runs?limit=2"; path != ""; {
		var page web.RunList
		res := s.get(path, &page)
		for _, r := range page.Runs {
			seen = append(seen, r.RunID)
		}
		path = ""
		if link, ok := strings.CutSuffix(res.Header.Get("Link"), `>; rel="next"`); ok {
			path = strings.TrimPrefix(link, "<")
		}
		if (path == "") != (page.Next == nil) {
			t.Errorf("Link %q, next_offset %v", res.Header.Get("Link"), page.Next)
		}
	}
	if strings.Join(seen, " ") != "live bad done" {
		t.Errorf("runs %v", seen)
	}
	for query, want := range map[string]string{"status=failed": "bad", "address=train.a": "done", "commit=c2": "live", "apply=apply2": "live", "pipeline=q": "bad"} {
		var page web.RunList
		s.get("/api/v1/runs?"+query, &page)
		if len(page.Runs) != 1 || page.Runs[0].RunID != want {
			t.Errorf("runs?%s: %+v, want %s", query, page.Runs, want)
		}
	}
}

func TestRunAndItsParts(t *testing.T) {
	s := newSite(t, nil)
	text := func(path string) string {
		res, body := s.request("GET", path, "", "")
		if res.StatusCode != 200 {
			t.Errorf("GET %s: %d %s", path, res.StatusCode, body)
		}
		return string(body)
	}
	for path, wants := range map[string][]string{
		"/api/v1/runs/1":                                      {`"run_id":"done"`, `"requested":{"epochs":2}`, `"optimizer.type":"sgd"`, `"last_metrics":{"loss":"NaN"}`},
		"/api/v1/runs/done/metrics":                           {`"name":"loss"`, `"value":0.7`, `"value":"NaN"`},
		"/api/v1/runs/done/validation":                        {`"primary_metric_name":"accuracy"`, `"overall_loss":"Infinity"`, `"confusion_matrix":[[1,0],[0,1]]`, `"job_id":1`},
		"/api/v1/runs/done/validation?epoch=2&pr_curves=true": {`"pr_curves":{"cat":{"ap":0.75,"thresholds":[0.9,0.5],"precision":[1,0.5],"recall":[0.5,1]}}`},
		"/api/v1/runs/done/validation?epoch=1":                {`"validations":[]`},
		"/api/v1/runs/done/checkpoints":                       {`"name":"best"`, `"sha256":"ab"`},
		"/api/v1/runs/done/artifacts":                         {`"name":"model.onnx"`},
		"/api/v1/runs/done/logs":                              {`"text":"hello\nworld ` + "\uFFFD" + `\n"`, `"text":"two\nlines"`, `"next_offset":14`},
		"/api/v1/runs/done/logs?offset=6&limit=5":             {`"text":"world"`, `"next_offset":11`, `"size":14`},
		"/api/v1/runs/done/logs?limit=2":                      {`"offset":12`},
		"/api/v1/runs/done/logs?offset=99":                    {`"text":""`, `"next_offset":99`},
		"/metrics":                                            {`trainwright_steps{pipeline="q",status="failed"} 1`, `trainwright_run_eta_seconds{address="train.c",job_id="3",pipeline="p"} 60`, `trainwright_run_metric{address="train.a",job_id="1",metric="accuracy",pipeline="p"} 0.9`, `route="/api/v1/runs/:id"`},
	} {
		text("/api/v1/runs/done")
		got := text(path)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("GET %s has no %s: %s", path, want, got)
			}
		}
	}
}

func TestCurvesAreDownSampled(t *testing.T) {
	s := newSite(t, nil)
	var batch []pipelines.Event
	for i := range int64(3000) {
		batch = append(batch, metric(1, 20+i, float64(i%7)))
	}
	add(t, s.store, "live", 2, batch...)
	for query, want := range map[string]int{"": 1000, "?max_points=50": 50, "?max_points=20000": 3001} {
		var list web.MetricList
		_, body := s.request("GET", "/api/v1/runs/live/metrics"+query, "", "")
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Series) != 1 {
			t.Fatalf("metrics%s: %d series, want one", query, len(list.Series))
		}
		// The extremes that are kept may have been picked already.
		if n := len(list.Series[0].Points); n > want || n < min(want-2, 3001) {
			t.Errorf("metrics%s: %d points, want at most %d and hardly fewer", query, n, want)
		}
	}
}

// TestOutputIsNotFollowedOutOfItsFolder puts other things where a step's output is.
func TestOutputIsNotFollowedOutOfItsFolder(t *testing.T) {
	s := newSite(t, nil)
	attempts, err := s.store.Attempts(context.Background(), "done")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	log := filepath.Join(attempts[0].Dir, "output.log")
	if err := os.WriteFile(secret, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, log); err != nil {
		t.Fatal(err)
	}
	if res, body := s.request("GET", "/api/v1/runs/done/logs", "", ""); res.StatusCode != 500 || strings.Contains(string(body), "canary") || strings.Contains(string(body), secret) {
		t.Errorf("a link: %d %s", res.StatusCode, body)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(log, 0o755); err != nil {
		t.Fatal(err)
	}
	if res, _ := s.request("GET", "/api/v1/runs/done/logs", "", ""); res.StatusCode != 500 {
		t.Errorf("a folder: %d", res.StatusCode)
	}
	if err := os.RemoveAll(attempts[0].Dir); err != nil {
		t.Fatal(err)
	}
	if res, body := s.request("GET", "/api/v1/runs/done/logs", "", ""); res.StatusCode != 200 {
		t.Errorf("a collected folder: %d %s", res.StatusCode, body)
	}
}

func TestPlatformShapes(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/models/list?task_type=image_classification", "/api/v1/models/list?framework=fake"} {
		var list struct {
			Models []map[string]any
			Total  int
		}
		s.get(path, &list)
		if list.Total == 0 || list.Total != len(list.Models) || list.Models[0]["model_name"] == "" || list.Models[0]["task_types"] == nil {
			t.Errorf("GET %s: %+v", path, list)
		}
	}
	for _, path := range []string{"/config/schema", "/config/schema?task_type=image_classification", "/api/v1/training/config-schema?framework=fake&task_type=image_classification"} {
		var c struct {
			Schema  struct{ Fields []map[string]any }
			Presets map[string]map[string]any
		}
		s.get(path, &c)
		if len(c.Schema.Fields) == 0 || len(c.Presets) == 0 {
			t.Errorf("GET %s: %+v", path, c)
		}
		for preset, values := range c.Presets {
			for name := range values {
				if strings.Contains(name, ".") {
					t.Errorf("GET %s: preset %s is not nested: %s", path, preset, name)
				}
			}
		}
	}
}

func TestStop(t *testing.T) {
	s := newSite(t, nil)
	res, body := s.request("POST", "/api/v1/training/jobs/3/stop", writeToken, "{}")
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"status":"cancelled"`) {
		t.Errorf("stop: %d %s", res.StatusCode, body)
	}
	res, body = s.request("POST", "/api/v1/training/jobs/3/stop", writeToken, "{}")
	if res.StatusCode != http.StatusConflict || !strings.Contains(string(body), `"code":"conflict"`) {
		t.Errorf("stop again: %d %s", res.StatusCode, body)
	}
}

// TestStopOfARunThatTakesItsTime: the request does not wait for the end, the
// run is asked once, and the server can stop meanwhile.
func TestStopOfARunThatTakesItsTime(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.StopWait = 20 * time.Millisecond })
	s.block.Store(true)
	for range 3 {
		res, body := s.request("POST", "/api/v1/training/jobs/3/stop", writeToken, "{}")
		if res.StatusCode != http.StatusAccepted || !strings.Contains(string(body), `"status":"running"`) {
			t.Errorf("stop: %d %s", res.StatusCode, body)
		}
	}
	if n := s.cancel.Load(); n != 1 {
		t.Errorf("the run was asked %d times to stop", n)
	}
}

func TestStatusOfWhatNobodyWorksOn(t *testing.T) {
	s := newSite(t, nil)
	s.state = runner.RunInterrupted
	var list web.StatusList
	s.get("/api/v1/status?branch=topic", &list)
	if list.State != "interrupted" || list.Runs[0].State != "interrupted" {
		t.Errorf("%+v", list)
	}
}
