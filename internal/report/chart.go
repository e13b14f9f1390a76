package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// chart is one drawing: a metric over epochs, a line per split.
type chart struct {
	Title  string
	SVG    template.HTML
	Legend []legend
}

type legend struct {
	Name  string
	Class string // CSS class of the line's colour
	Last  string
}

type series struct {
	name   string
	class  string
	points []point
}

type point struct{ x, y float64 }

// charts draws loss first, then the primary metric, then other metrics of every epoch.
func charts(rows []runner.MetricRow, best *pipelines.Validation) []chart {
	byName := map[string]map[string][]point{}
	for _, r := range rows {
		if r.Class != "" || r.Superseded || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			continue
		}
		if byName[r.Name] == nil {
			byName[r.Name] = map[string][]point{}
		}
		byName[r.Name][r.Split] = append(byName[r.Name][r.Split], point{float64(r.Epoch), r.Value})
	}
	primary := ""
	if best != nil {
		primary = best.PrimaryName
	}
	rank := func(name string) int {
		switch name {
		case "loss":
			return 0
		case primary:
			return 1
		case "learning_rate":
			return 3
		}
		return 2
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var out []chart
	for _, name := range names[:min(6, len(names))] {
		if c, ok := newChart(name, byName[name], best); ok {
			out = append(out, c)
		}
	}
	return out
}

func newChart(name string, bySplit map[string][]point, best *pipelines.Validation) (chart, bool) {
	c := chart{Title: name}
	var lines []series
	for _, split := range splitsOf(bySplit) {
		pts := lastPerEpoch(bySplit[split])
		if len(pts) == 0 {
			continue
		}
		class := map[string]string{"train": "s1", "val": "s2"}[split]
		if class == "" {
			class = "s3"
		}
		lines = append(lines, series{split, class, pts})
		c.Legend = append(c.Legend, legend{split, class, percentOrNumber(name, pts[len(pts)-1].y)})
	}
	if len(lines) == 0 {
		return c, false
	}
	mark := 0
	if best != nil {
		mark = best.Epoch
	}
	c.SVG = drawLines(name, lines, mark)
	return c, true
}

func splitsOf(m map[string][]point) []string {
	var out []string
	for _, s := range []string{"train", "val", "test"} {
		if _, ok := m[s]; ok {
			out = append(out, s)
		}
	}
	for s := range m {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// lastPerEpoch keeps an epoch's last value: its figure at the epoch's end.
func lastPerEpoch(pts []point) []point {
	slices.SortStableFunc(pts, func(a, b point) int { return int(a.x - b.x) })
	var out []point
	for _, p := range pts {
		if n := len(out); n > 0 && out[n-1].x == p.x {
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	return out
}

// Drawing area in SVG units; the page scales it to its column.
const (
	width, height            = 520.0, 240.0
	left, right, top, bottom = 52.0, 12.0, 10.0, 26.0
)

func drawLines(name string, lines []series, mark int) template.HTML {
	x0, x1, y0, y1 := bounds(lines)
	ticks := niceTicks(y0, y1, 5)
	y0, y1 = min(y0, ticks[0]), max(y1, ticks[len(ticks)-1])
	px := func(x float64) float64 {
		if x1 == x0 {
			return (left + width - right) / 2
		}
		return left + (x-x0)/(x1-x0)*(width-left-right)
	}
	py := func(y float64) float64 { return top + (y1-y)/(y1-y0)*(height-top-bottom) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s over epochs">`, width, height, html.EscapeString(name))
	for _, t := range ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, left, width-right, py(t), py(t))
		fmt.Fprintf(&b, `<text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`, left-6, py(t)+3.5, number(t))
	}
	for _, t := range epochTicks(x0, x1) {
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%g" text-anchor="middle">%d</text>`, px(t), height-8, int(t))
	}
	if m := float64(mark); mark > 0 && m >= x0 && m <= x1 {
		fmt.Fprintf(&b, `<line class="mark" x1="%.1f" x2="%.1f" y1="%g" y2="%g"><title>best: epoch %d</title></line>`, px(m), px(m), top, height-bottom, mark)
	}
	for _, s := range lines {
		var d strings.Builder
		for i, p := range s.points {
			fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], px(p.x), py(p.y))
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, s.class, d.String())
		if len(s.points) <= 60 {
			for _, p := range s.points {
				fmt.Fprintf(&b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="2.5"><title>%s, epoch %d: %s</title></circle>`,
					s.class, px(p.x), py(p.y), html.EscapeString(s.name), int(p.x), number(p.y))
			}
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func bounds(lines []series) (x0, x1, y0, y1 float64) {
	x0, y0 = math.Inf(1), math.Inf(1)
	x1, y1 = math.Inf(-1), math.Inf(-1)
	for _, s := range lines {
		for _, p := range s.points {
			x0, x1 = min(x0, p.x), max(x1, p.x)
			y0, y1 = min(y0, p.y), max(y1, p.y)
		}
	}
	if y0 == y1 {
		pad := max(math.Abs(y0)*0.1, 1e-6)
		y0, y1 = y0-pad, y1+pad
	}
	return x0, x1, y0, y1
}

// niceTicks returns about n round values that enclose [lo, hi].
func niceTicks(lo, hi float64, n int) []float64 {
	raw := (hi - lo) / float64(n)
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * mag
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*mag >= raw {
			step = m * mag
			break
		}
	}
	var out []float64
	for i := math.Floor(lo / step); ; i++ {
		out = append(out, i*step)
		if i*step >= hi || len(out) > 4*n {
			return out
		}
	}
}

func epochTicks(x0, x1 float64) []float64 {
	step := math.Max(1, math.Ceil((x1-x0)/8))
	var out []float64
	for x := x0; x <= x1; x += step {
		out = append(out, x)
	}
	return out
}
