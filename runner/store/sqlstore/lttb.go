package sqlstore

import (
	"cmp"
	"math"
	"slices"

	"github.com/trainwright/trainwright/runner"
)

// downsample keeps at most n points of a series: what lttb picks, and from six
// on always the lowest and the highest, which its triangles may miss.
func downsample(rows []runner.MetricRow, n int) []runner.MetricRow {
	if n >= len(rows) {
		return rows
	}
	if n < 6 {
		return lttb(rows, n)
	}
	lowest, highest := -1, -1
	for i, r := range rows {
		if !finite(r.Value) {
			continue
		}
		if lowest < 0 || r.Value < rows[lowest].Value {
			lowest = i
		}
		if highest < 0 || r.Value > rows[highest].Value {
			highest = i
		}
	}
	out := lttb(rows, n-2)
	for _, i := range []int{lowest, highest} {
		if i < 0 {
			continue
		}
		at, found := slices.BinarySearchFunc(out, rows[i], inTraining)
		if !found {
			out = slices.Insert(out, at, rows[i])
		}
	}
	return out
}

// inTraining orders points of a series as it was trained.
func inTraining(a, b runner.MetricRow) int {
	return cmp.Or(cmp.Compare(a.GlobalStep, b.GlobalStep), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Attempt, b.Attempt))
}

// lttb keeps n points of a series by Largest-Triangle-Three-Buckets
// (Steinarsson, "Downsampling Time Series for Visual Representation", 2013):
// the first, the last, and from each of n-2 buckets the point that spans the
// largest triangle with the point kept before and the mean of the bucket
// after. A NaN or infinity wins its bucket: it is what one looks for.
func lttb(rows []runner.MetricRow, n int) []runner.MetricRow {
	if n < 3 {
		return []runner.MetricRow{rows[0], rows[len(rows)-1]}[2-min(n, 2):]
	}
	out := append(make([]runner.MetricRow, 0, n), rows[0])
	width := float64(len(rows)-2) / float64(n-2)
	edge := func(i int) int { return 1 + int(float64(i)*width) }
	for b := range n - 2 {
		lo, hi := edge(b), edge(b+1)
		next := rows[hi:min(max(edge(b+2), hi+1), len(rows))]
		mx, my := mean(next)
		last := out[len(out)-1]
		best, area := lo, -1.0
		for i := lo; i < hi; i++ {
			a := triangle(float64(last.GlobalStep), last.Value, float64(rows[i].GlobalStep), rows[i].Value, mx, my)
			if a > area {
				best, area = i, a
			}
		}
		out = append(out, rows[best])
	}
	return append(out, rows[len(rows)-1])
}

func triangle(ax, ay, bx, by, cx, cy float64) float64 {
	if !finite(by) {
		return math.Inf(1)
	}
	if !finite(ay) {
		ay = by
	}
	return math.Abs((ax-cx)*(by-ay) - (ax-bx)*(cy-ay))
}

func mean(rows []runner.MetricRow) (x, y float64) {
	n := 0.0
	for _, r := range rows {
		if finite(r.Value) {
			x, y, n = x+float64(r.GlobalStep), y+r.Value, n+1
		}
	}
	if n == 0 {
		return float64(rows[0].GlobalStep), 0
	}
	return x / n, y / n
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
