package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

// TestStepDurationsAndQueue: a step that ended is counted once, however often
// it is looked at, and not if it ended before the server began.
func TestStepDurationsAndQueue(t *testing.T) {
	ctx := context.Background()
	now := clock.Add(2 * time.Minute) // two runs ended before
	s := newSite(t, func(c *web.Config) { c.Now = func() time.Time { return now } })
	scrape := func() string {
		_, body := s.request("GET", "/metrics", readToken, "")
		return string(body)
	}
	if text := scrape(); strings.Contains(text, "trainwright_step_duration_seconds_count") {
		t.Error("steps are counted that ended before the server began")
	}
	run, err := s.store.Run(ctx, "live")
	if err != nil {
		t.Fatal(err)
	}
	run.Status, run.Ended = pipelines.StatusCompleted, clock.Add(10*time.Minute)
	if err := s.store.UpdateRun(ctx, run); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2"} {
		if _, err := s.store.CreateRun(ctx, pipelines.Run{ID: "job" + id, Pipeline: "training-sub" + id, ApplyID: "sub" + id, Address: "train.job", Status: pipelines.StatusFailed,
			Kind: pipelines.KindTrain, Created: now, Started: now, Ended: now.Add(time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.store.Submit(ctx, runner.Submission{ID: "waits", Kind: runner.SubmissionApply, Pipeline: "p", Resource: "cpu", State: runner.SubmissionQueued,
		Status: pipelines.StatusPending, Created: clock, Queued: clock}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		text := scrape()
		for _, want := range []string{
			`trainwright_step_duration_seconds_count{kind="train",pipeline="p",status="completed"} 1`,
			`trainwright_step_duration_seconds_sum{kind="train",pipeline="p",status="completed"} 600`,
			`trainwright_step_duration_seconds_bucket{kind="train",pipeline="p",status="completed",le="900"} 1`,
			`trainwright_step_duration_seconds_count{kind="train",pipeline="training",status="failed"} 2`,
			`trainwright_queue_submissions{state="queued"} 1`, `trainwright_queue_submissions{state="running"} 0`,
			`trainwright_queue_oldest_wait_seconds 120`, `go_goroutines`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in /metrics", want)
			}
		}
	}
}
