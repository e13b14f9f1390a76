package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func metricEvents(attempt int, seq, n int64) []pipelines.Event {
	events := make([]pipelines.Event, n)
	for i := range events {
		q := seq + int64(i)
		events[i] = pipelines.Event{Version: 1, Attempt: attempt, Seq: q, Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{
			Epoch: int(q/1000) + 1, GlobalStep: q, Split: "train", Values: map[string]float64{"loss": 1, "learning_rate": 0.1},
		}}
	}
	return events
}

// BenchmarkAppendEvents files batches of 100 events (200 metric rows) into a
// run that holds 100,000 rows already, in its first and in a later attempt.
func BenchmarkAppendEvents(b *testing.B) {
	ctx := context.Background()
	for _, attempt := range []int{1, 2} {
		b.Run(fmt.Sprintf("attempt-%d", attempt), func(b *testing.B) {
			s, err := Open(ctx, filepath.Join(b.TempDir(), "state.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if _, err := s.CreateRun(ctx, pipelines.Run{ID: "r"}); err != nil {
				b.Fatal(err)
			}
			if _, err := s.AppendEvents(ctx, "r", metricEvents(1, 1, 50_000)); err != nil {
				b.Fatal(err)
			}
			seq := int64(50_001)
			for b.Loop() {
				if _, err := s.AppendEvents(ctx, "r", metricEvents(attempt, seq, 100)); err != nil {
					b.Fatal(err)
				}
				seq += 100
			}
		})
	}
}

// BenchmarkMetrics reads 500 points of one of two series of 50,000.
func BenchmarkMetrics(b *testing.B) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateRun(ctx, pipelines.Run{ID: "r"}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.AppendEvents(ctx, "r", metricEvents(1, 1, 50_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if rows, err := s.Metrics(ctx, runner.MetricFilter{RunID: "r", Name: "loss", MaxPoints: 500}); err != nil || len(rows) != 500 {
			b.Fatal(len(rows), err)
		}
	}
}
