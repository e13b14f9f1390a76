package optim

import (
	"math"

	"github.com/trainwright/trainwright/engine/graph"
)

// adam is torch.optim.Adam (Kingma and Ba, 2014).
var adam = Rule{
	Name:        "adam",
	Description: "Adaptive step per weight; weight decay is added to the gradient (L2)",
	Slots:       adamSlots,
	Scalars:     adamScalars,
	update: func(g *graph.Graph, c Config, s map[string]graph.Value, p, grad graph.Value, slots []graph.Value) (graph.Value, []graph.Value) {
		return adamStep(g, c, s, p, decay(g, c, p, grad), slots)
	},
}

// adamW is torch.optim.AdamW (Loshchilov and Hutter, 2017).
var adamW = Rule{
	Name:        "adamw",
	Description: "Adam with weight decay decoupled from the gradient; a good default",
	Slots:       adamSlots,
	Scalars:     adamScalars,
	update: func(g *graph.Graph, c Config, s map[string]graph.Value, p, grad graph.Value, slots []graph.Value) (graph.Value, []graph.Value) {
		if c.WeightDecay != 0 {
			keep := g.Sub(g.ConstF(1), g.Scale(s["lr"], float32(c.WeightDecay)))
			p = g.Mul(p, keep)
		}
		return adamStep(g, c, s, p, grad, slots)
	},
}

func adamSlots(Config) []string { return []string{"exp_avg", "exp_avg_sq"} }

// adamScalars computes the bias corrections in double precision, because
// 1 - beta2^t loses most of its digits in single precision at small t.
func adamScalars(c Config, lr float64, step int64) []Scalar {
	t := float64(step)
	return []Scalar{
		{"lr", float32(lr)},
		{"bias_correction1", float32(1 - math.Pow(c.Beta1, t))},
		{"bias_correction2_sqrt", float32(math.Sqrt(1 - math.Pow(c.Beta2, t)))},
	}
}

func adamStep(g *graph.Graph, c Config, s map[string]graph.Value, p, grad graph.Value, slots []graph.Value) (graph.Value, []graph.Value) {
	avg := g.Add(g.Scale(slots[0], float32(c.Beta1)), g.Scale(grad, float32(1-c.Beta1)))
	avgSq := g.Add(g.Scale(slots[1], float32(c.Beta2)), g.Scale(g.Square(grad), float32(1-c.Beta2)))
	denom := g.Add(g.Div(g.Sqrt(avgSq), s["bias_correction2_sqrt"]), g.ConstF(float32(c.Eps)))
	step := g.Mul(g.Div(avg, denom), g.Div(s["lr"], s["bias_correction1"]))
	return g.Sub(p, step), []graph.Value{avg, avgSq}
}
