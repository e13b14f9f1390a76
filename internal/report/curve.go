package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// coloured is how many classes' curves stand out; the rest are thin lines.
const coloured = 3

type classCurve struct {
	class  string
	ap     float64
	points []point // recall, precision
}

// prChart draws precision over recall of every class, the weakest ones in colours.
func prChart(best pipelines.Validation) *chart {
	var list []classCurve
	for class, c := range best.PRCurves {
		n := min(len(c.Recall), len(c.Precision))
		curve := classCurve{class: class, ap: float64(c.AP)}
		for i := range n {
			if p := (point{float64(c.Recall[i]), float64(c.Precision[i])}); !math.IsNaN(p.x + p.y) {
				curve.points = append(curve.points, p)
			}
		}
		if len(curve.points) > 0 {
			list = append(list, curve)
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b classCurve) int {
		return cmp.Or(cmp.Compare(a.ap, b.ap), strings.Compare(a.class, b.class))
	})
	out := chart{Title: "Precision over recall"}
	px := func(x float64) float64 { return left + x*(width-left-right) }
	py := func(y float64) float64 { return top + (1-y)*(height-top-bottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="precision over recall">`, width, height)
	for t := 0.0; t <= 1; t += 0.25 {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, left, width-right, py(t), py(t))
		fmt.Fprintf(&b, `<text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`, left-6, py(t)+3.5, number(t))
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%g" text-anchor="middle">%s</text>`, px(t), height-8, number(t))
	}
	for i := len(list) - 1; i >= 0; i-- { // the weakest on top
		c, style := list[i], "s0"
		if i < coloured {
			style = fmt.Sprintf("s%d", i+1)
		}
		var d strings.Builder
		for k, p := range c.points {
			fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[k == 0], px(p.x), py(p.y))
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"><title>%s, average precision %s</title></path>`, style, d.String(), html.EscapeString(c.class), number(c.ap))
	}
	b.WriteString(`</svg>`)
	out.SVG = template.HTML(b.String())
	for i, c := range list[:min(coloured, len(list))] {
		out.Legend = append(out.Legend, legend{c.class, fmt.Sprintf("s%d", i+1), number(c.ap)})
	}
	return &out
}
