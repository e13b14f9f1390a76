package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

// TestTrainingJobs files, starts, stops and resumes a training as the platform does.
func TestTrainingJobs(t *testing.T) {
	s := newSite(t, nil)
	ask := func(method, path, body string, want int, headers ...string) web.TrainingJob {
		t.Helper()
		res, text := s.request(method, path, writeToken, body, headers...)
		var job web.TrainingJob
		if res.StatusCode != want || want/100 == 2 && json.Unmarshal(text, &job) != nil {
			t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, text, want)
		}
		return job
	}
	const body = `{"framework":"fake","model":{"model_name":"tiny","task_type":"image_classification"},"dataset_path":"data","dataset_format":"imagefolder",
		"training_config":{"epochs":2,"batch_size":4,"advanced_config":{"optimizer":{"type":"sgd"}}}}`
	job := ask("POST", "/api/v1/training/jobs", body, 201, "Idempotency-Key", "k1")
	if job.JobID < 4 || job.State != "created" || job.Status != "pending" {
		t.Errorf("filed: %+v", job)
	}
	if again := ask("POST", "/api/v1/training/jobs", body, 201, "Idempotency-Key", "k1"); again.JobID != job.JobID {
		t.Errorf("the same request made job %d and job %d", job.JobID, again.JobID)
	}
	if res, text := s.request("POST", "/api/v1/training/jobs", writeToken, strings.Replace(body, `"epochs":2`, `"epochs":3`, 1), "Idempotency-Key", "k1"); res.StatusCode != 409 {
		t.Errorf("another request with that key: %d %s", res.StatusCode, text)
	}
	path := fmt.Sprintf("/api/v1/training/jobs/%d", job.JobID)
	ask("POST", path+"/resume", "{}", 409)
	if got := ask("POST", path+"/start", "{}", 202); got.State != "queued" {
		t.Errorf("started: %+v", got)
	}
	if got := ask("GET", path, "", 200); got.ID != job.ID || got.State != "queued" {
		t.Errorf("shown: %+v", got)
	}
	if got := ask("POST", path+"/stop", "{}", 200); got.Status != "cancelled" {
		t.Errorf("stopped: %+v", got)
	}
	ask("POST", path+"/start", "{}", 409)
	if got := ask("POST", path+"/resume", "{}", 202); got.State != "queued" || got.JobID != job.JobID {
		t.Errorf("resumed: %+v", got)
	}
	if got := ask("POST", "/training/start", strings.Replace(body, `"epochs":2`, `"epochs":4`, 1), 202); got.State != "queued" {
		t.Errorf("filed and started: %+v", got)
	}
	var list web.JobList
	s.get("/api/v1/training/jobs?limit=1", &list)
	if len(list.Jobs) != 1 || list.Next == nil || *list.Next != 1 {
		t.Errorf("list: %+v", list)
	}
	if got := ask("GET", "/api/v1/training/jobs/1", "", 200); got.RunID != "done" || got.Run == nil {
		t.Errorf("a run of a pipeline: %+v", got)
	}
	res, text := s.request("POST", "/api/v1/training/jobs/1/resume", writeToken, "{}")
	if res.StatusCode != 409 || !strings.Contains(string(text), "runner resume") {
		t.Errorf("resuming what was not made here: %d %s", res.StatusCode, text)
	}
	for body, want := range map[string]string{
		`{"epochs":1,"training_config":{"epochs":2}}`: "given twice",
		`{"model":7}`: "neither a text nor an object",
		`{"dance":1}`: "unexpected property",
	} {
		if res, text := s.request("POST", "/api/v1/training/jobs", writeToken, body); res.StatusCode != 422 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s, want %q", body, res.StatusCode, text, want)
		}
	}
	if n, err := s.store.SubmissionByJob(t.Context(), job.JobID); err != nil || n.Kind != runner.SubmissionTraining || !strings.Contains(string(n.Work), `type = \"sgd\"`) {
		t.Errorf("filed as %s, %v", n.Work, err)
	}
}

// TestWhereATrainingIsWrong: pointers into what was sent, flat or nested.
func TestWhereATrainingIsWrong(t *testing.T) {
	s := newSite(t, nil)
	for body, want := range map[string]string{
		`{"model_name":"tiny","dataset_path":"data","epochs":1,"advanced_config":{"optimizer":{"x.y":1}}}`: "/advanced_config/optimizer/x.y",
		`{"model":"tiny","dataset":"data","training_config":{"epochs":1,"advanced_config":{"x.y":1}}}`:     "/training_config/advanced_config/x.y",
		`{"model":{"model_name":"tiny","a.b":1},"dataset":{"path":"data"},"epochs":1}`:                     "/model/a.b",
	} {
		res, text := s.request("POST", "/api/v1/training/jobs", writeToken, body)
		var p web.Problem
		if err := json.Unmarshal(text, &p); err != nil || res.StatusCode != 422 || len(p.Errors) != 1 || p.Errors[0].Location != want {
			t.Errorf("%s: %d %s, want %s", body, res.StatusCode, text, want)
		}
	}
}
