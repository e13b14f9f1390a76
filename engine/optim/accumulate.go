package optim

import "github.com/trainwright/trainwright/engine/graph"

// AccumulatorName is the name of a parameter's gradient sum among the states.
func AccumulatorName(param string) string { return "accumulate/" + param }

// Accumulate adds gradients to per-parameter sums without updating anything
// else. A gradient of the mean loss of a batch counts samples times (a float32
// scalar), so that batches of different sizes weigh by their samples.
func Accumulate(g *graph.Graph, params []graph.Named, grads []graph.Value, samples graph.Value) {
	defer g.SetScope(g.SetScope("accumulate"))
	for i, p := range params {
		sum := g.State(AccumulatorName(p.Name), graph.Float32, g.Shape(p.Value)...)
		g.Assign(sum, g.Add(sum, g.Mul(grads[i], samples)))
	}
}

// Drain adds the window's last gradients to the sums, returns the averages
// over all samples of the window (total, a float32 scalar that includes this
// batch's) and sets the sums back to zero. With equal batches that is
// PyTorch's loss / k; a window cut short is averaged over what it has.
func Drain(g *graph.Graph, params []graph.Named, grads []graph.Value, samples, total graph.Value) []graph.Value {
	defer g.SetScope(g.SetScope("accumulate"))
	mean := make([]graph.Value, len(grads))
	for i, p := range params {
		sum := g.State(AccumulatorName(p.Name), graph.Float32, g.Shape(p.Value)...)
		mean[i] = g.Div(g.Add(sum, g.Mul(grads[i], samples)), total)
		// Not sum*0, which would keep a NaN for ever.
		g.Assign(sum, g.Expand(g.ConstF(0), g.Shape(p.Value)...))
	}
	return mean
}
