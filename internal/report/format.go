package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"time"
)

// percent writes a fraction of [0,1] with one decimal; NaN is a dash.
func percent(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
}

// number writes four significant digits.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func duration(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "–"
	}
	return to.Sub(from).Round(time.Second / 10).String()
}

func bytesText(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
}

// short abbreviates a hash.
func short(s string) string {
	if len(s) > 19 {
		return s[:19] + "…"
	}
	return s
}

// shade is a confusion matrix cell's background: the root of its
// share of the row, so that a single error is seen.
func shade(share float64, diagonal bool) template.CSS {
	hue := "--bad"
	if diagonal {
		hue = "--good"
	}
	return template.CSS(fmt.Sprintf("background:color-mix(in srgb, var(%s) %d%%, transparent)", hue, int(math.Round(85*math.Sqrt(share)))))
}
