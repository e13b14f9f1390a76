package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testReports(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	reports, is := s.(interface {
		AppendReports(ctx context.Context, runID string, reports []runner.Report) (int, error)
	})
	if !is {
		t.Skip("this store takes no reports")
	}
	newRun(t, s, "r")
	loss := func(id string, epoch int) runner.Report {
		return runner.Report{ID: id, Event: pipelines.Event{Version: pipelines.EventVersion, Time: clock, Type: pipelines.EventMetrics,
			Metrics: &pipelines.Metrics{Epoch: epoch, Split: "train", Values: map[string]float64{"loss": float64(epoch)}}}}
	}
	file := func(want int, batch ...runner.Report) {
		t.Helper()
		if n := must(reports.AppendReports(ctx, "r", batch))(t); n != want {
			t.Errorf("%d of %d reports were new, want %d", n, len(batch), want)
		}
	}
	file(2, loss("a", 1), loss("b\x00", 2), loss("a", 1))
	file(1, loss("b\x00", 2), loss("c", 3), loss("a", 1)) // it comes again, with one more
	file(2, loss("", 4), loss("", 5))                     // without a name each is new
	var many []runner.Report
	for i := range 1234 {
		many = append(many, loss(fmt.Sprint("many ", i), 6+i))
	}
	file(1234, many...)
	file(0, many...)
	events := must(s.Events(ctx, "r", runner.EventID{}, 5000))(t)
	if len(events) != 5+1234 {
		t.Fatalf("%d events are filed, want %d", len(events), 5+1234)
	}
	for i, e := range events {
		if e.Attempt != 1 || e.Metrics.Epoch != i+1 || i > 0 && e.Seq <= events[i-1].Seq {
			t.Fatalf("event %d is of epoch %d at %d/%d, after %d", i, e.Metrics.Epoch, e.Attempt, e.Seq, events[max(0, i-1)].Seq)
		}
	}
	_, err := reports.AppendReports(ctx, "none", many)
	wantCode(t, err, pipelines.CodeNotFound)
}
