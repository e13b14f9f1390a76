package view

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Value writes a plain value as a user would write it in HCL; nil is "(none)".
func Value(v any) string {
	switch v := v.(type) {
	case nil:
		return "(none)"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err == nil {
			return Clean(string(b))
		}
	case string:
		return Clean(strconv.Quote(v))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return Clean(fmt.Sprint(v))
	}
	return Clean(string(b))
}

// Metric writes a metric's value: fractions with four digits, others with four significant ones.
func Metric(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Sprint(v)
	case v != 0 && math.Abs(v) < 0.001:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// Duration writes whole seconds as 1h02m03s, times below 10 s with one decimal.
func Duration(d time.Duration) string {
	if d >= 10*time.Second && d < time.Minute {
		return strconv.Itoa(int(d.Round(time.Second).Seconds())) + "s"
	}
	if d < time.Minute {
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + "s"
	}
	d = d.Round(time.Second)
	h, m, sec := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%dh%02dm%02ds", h, m, sec)
	}
	return fmt.Sprintf("%dm%02ds", m, sec)
}

// Rate writes images per second.
func Rate(v float64) string {
	if v >= 10 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " images/s"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " images/s"
}

// After writes "(known after train.a, train.b)".
func After(steps []pipelines.Address) string {
	return "(known after " + Addresses(steps) + ")"
}

// Addresses names steps, the instances of one block together.
func Addresses(list []pipelines.Address) string { return runner.AddressList(list) }

// Count writes "1 step" or "2 steps".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Sparkline draws values as blocks, low to high, at most n of the newest.
func Sparkline(values []float64, n int) string {
	const blocks = "▁▂▃▄▅▆▇█"
	levels := []rune(blocks)
	finite := values[:0:0]
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite = append(finite, v)
		}
	}
	if len(finite) > n {
		finite = finite[len(finite)-n:]
	}
	if len(finite) == 0 {
		return ""
	}
	lo, hi := finite[0], finite[0]
	for _, v := range finite {
		lo, hi = min(lo, v), max(hi, v)
	}
	var b strings.Builder
	for _, v := range finite {
		i := 0
		if hi > lo {
			i = int((v - lo) / (hi - lo) * float64(len(levels)-1))
		}
		b.WriteRune(levels[i])
	}
	return b.String()
}
