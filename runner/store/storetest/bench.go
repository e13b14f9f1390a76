package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Bench measures a store: filing events in batches of 500, with the spread of
// a batch's time, and reading the curves of a run of a million points.
func Bench(b *testing.B, open func(b *testing.B) runner.Store) {
	b.Run("Append500", func(b *testing.B) { benchAppend(b, open(b)) })
	b.Run("MillionPoints", func(b *testing.B) { benchMillion(b, open(b)) })
}

func benchRun(b *testing.B, s runner.Store) {
	b.Helper()
	if _, err := s.CreateRun(context.Background(), pipelines.Run{ID: "r", Pipeline: "p", Status: pipelines.StatusRunning}); err != nil {
		b.Fatal(err)
	}
}

func batch(from, n int64) []pipelines.Event {
	events := make([]pipelines.Event, n)
	for i := range events {
		q := from + int64(i)
		// Noise that needs no seed, around a falling loss.
		events[i] = metric(1, q, q, 100/float64(q+10)+float64(q*2654435761%1000)/1000)
	}
	return events
}

func benchAppend(b *testing.B, s runner.Store) {
	benchRun(b, s)
	const size = 500
	var took []time.Duration
	seq := int64(1)
	for b.Loop() {
		events := batch(seq, size)
		start := time.Now()
		if _, err := s.AppendEvents(context.Background(), "r", events); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		seq += size
	}
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	slices.Sort(took)
	b.ReportMetric(float64(size*len(took))/sum.Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func benchMillion(b *testing.B, s runner.Store) {
	benchRun(b, s)
	const points = 1_000_000
	for seq := int64(1); seq <= points; seq += 5000 {
		if _, err := s.AppendEvents(context.Background(), "r", batch(seq, 5000)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		rows, err := s.Metrics(context.Background(), runner.MetricFilter{RunID: "r", MaxPoints: 1000})
		if err != nil || len(rows) < 990 || len(rows) > 1000 {
			b.Fatal(len(rows), err)
		}
	}
}
