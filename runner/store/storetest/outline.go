package storetest

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// testLongCurves files long histories of crashes and resumes with events that
// come late, twice, or tell a value anew, and holds every down-sampled reading
// against all points of the same moment.
func testLongCurves(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	newRun(t, s, "r")
	// Few points stand out, so that the lowest and the highest are often others.
	value := func(odds int) float64 {
		switch v := random.Float64(); random.IntN(odds) {
		case 0:
			return 10 + v
		case 1:
			return -10 - v
		case 2:
			return math.NaN()
		default:
			return v
		}
	}
	step := int64(0)
	for attempt := 1; attempt <= 3; attempt++ {
		seq := int64(0)
		next := func(f func(seq int64) pipelines.Event) pipelines.Event { seq++; return f(seq) }
		var late, batch []pipelines.Event
		if attempt > 1 {
			step = random.Int64N(step + 1)
			batch = append(batch, next(func(q int64) pipelines.Event { return resumed(attempt, q, step) }))
		}
		for range 5 {
			for range 600 + random.IntN(1000) {
				step++
				e := next(func(q int64) pipelines.Event { return metric(attempt, q, step, value(500)) })
				switch random.IntN(300) {
				case 0:
					e.Metrics.Values["loss"] = value(6)
					late = append(late, e)
				case 1: // told anew, now or later
					again := metric(attempt, seq+1, step, value(6))
					seq++
					batch, late = append(batch, e), append(late, again)
				case 2:
					batch = append(batch, e, e)
				default:
					batch = append(batch, e)
				}
			}
			must(s.AppendEvents(ctx, "r", batch))(t)
			batch = nil
			if random.IntN(3) == 0 {
				batch, late = late, nil
				checkSampled(t, s)
			}
		}
		must(s.AppendEvents(ctx, "r", append(late, batch...)))(t)
		checkSampled(t, s)
	}
}

// checkSampled reads the only curve of run r in full and down-sampled.
func checkSampled(t *testing.T, s runner.Store) {
	t.Helper()
	for _, f := range []runner.MetricFilter{{RunID: "r"}, {RunID: "r", IncludeSuperseded: true}} {
		all := must(s.Metrics(context.Background(), f))(t)
		for _, n := range []int{6, 60, 2000} {
			f.MaxPoints = n
			got := must(s.Metrics(context.Background(), f))(t)
			if len(got) > n || len(got) < min(n, len(all))-2 {
				t.Errorf("%+v: %d of %d points", f, len(got), len(all))
			}
			at := 0
			for _, r := range got { // in order, each one of all
				for at < len(all) && !same(all[at], r) {
					at++
				}
				if at == len(all) {
					t.Fatalf("%+v: %+v is no point of the curve, or not where it belongs", f, r)
				}
			}
			if !same(got[0], all[0]) || !same(got[len(got)-1], all[len(all)-1]) {
				t.Errorf("%+v: from %+v to %+v; the curve goes from %+v to %+v", f, got[0], got[len(got)-1], all[0], all[len(all)-1])
			}
			if got, want := span(got), span(all); got != want {
				t.Errorf("%+v: values from %v to %v; those of the curve from %v to %v", f, got[0], got[1], want[0], want[1])
			}
		}
	}
}

func same(a, b runner.MetricRow) bool {
	if math.IsNaN(a.Value) && math.IsNaN(b.Value) {
		a.Value, b.Value = 0, 0
	}
	return a == b
}

// span is the lowest and the highest value.
func span(rows []runner.MetricRow) [2]float64 {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r runner.MetricRow) bool { return math.IsNaN(r.Value) })
	byValue := func(a, b runner.MetricRow) int { return cmp.Compare(a.Value, b.Value) }
	return [2]float64{slices.MinFunc(rows, byValue).Value, slices.MaxFunc(rows, byValue).Value}
}
