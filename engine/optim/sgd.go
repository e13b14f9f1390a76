package optim

import "github.com/trainwright/trainwright/engine/graph"

// sgd is torch.optim.SGD with dampening 0. Its momentum buffer starts at zero,
// which gives the same first step as PyTorch's, that starts at the gradient.
var sgd = Rule{
	Name:        "sgd",
	Description: "Stochastic gradient descent with momentum; the classic choice for convolutional networks",
	Slots: func(c Config) []string {
		if c.Momentum == 0 {
			return nil
		}
		return []string{"momentum_buffer"}
	},
	Scalars: func(_ Config, lr float64, _ int64) []Scalar {
		return []Scalar{{"lr", float32(lr)}}
	},
	update: func(g *graph.Graph, c Config, s map[string]graph.Value, p, grad graph.Value, slots []graph.Value) (graph.Value, []graph.Value) {
		grad = decay(g, c, p, grad)
		if c.Momentum == 0 {
			return g.Sub(p, g.Mul(grad, s["lr"])), nil
		}
		buffer := g.Add(g.Scale(slots[0], float32(c.Momentum)), grad)
		step := buffer
		if c.Nesterov {
			step = g.Add(grad, g.Scale(buffer, float32(c.Momentum)))
		}
		return g.Sub(p, g.Mul(step, s["lr"])), []graph.Value{buffer}
	},
}
