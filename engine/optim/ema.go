package optim

import "github.com/trainwright/trainwright/engine/graph"

// EMAName is the name of the moving average of a parameter or buffer among the
// states.
func EMAName(tensor string) string { return "ema/" + tensor }

// EMA keeps a moving average of tensors: average = decay*average +
// (1-decay)*next, where next[i] is what tensors[i] becomes in this step. decay
// is a float32 scalar, usually an input fed with EMADecay.
func EMA(g *graph.Graph, decay graph.Value, tensors []graph.Named, next []graph.Value) {
	defer g.SetScope(g.SetScope("ema"))
	rest := g.Sub(g.ConstF(1), decay)
	for i, t := range tensors {
		average := g.State(EMAName(t.Name), graph.Float32, g.Shape(t.Value)...)
		g.Assign(average, g.Add(g.Mul(average, decay), g.Mul(next[i], rest)))
	}
}

// EMADecay is the decay of update number step, counting from 1: 0 at the first,
// which so starts the average at the first updated weights, as
// torch.optim.swa_utils.AveragedModel does.
func EMADecay(decay float64, step int64) float32 {
	if step <= 1 {
		return 0
	}
	return float32(decay)
}
