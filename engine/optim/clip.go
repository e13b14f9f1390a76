package optim

import "github.com/trainwright/trainwright/engine/graph"

// Clip scales gradients so that their joint 2-norm is at most maxNorm, by the
// rule of torch.nn.utils.clip_grad_norm_: all are multiplied by
// min(1, maxNorm/(norm + 1e-6)). It also returns the norm before clipping.
func Clip(g *graph.Graph, grads []graph.Value, maxNorm float64) (clipped []graph.Value, norm graph.Value) {
	defer g.SetScope(g.SetScope("clip"))
	norm = Norm(g, grads)
	factor := g.Div(g.ConstF(float32(maxNorm)), g.Add(norm, g.ConstF(1e-6)))
	factor = g.Min(factor, g.ConstF(1))
	clipped = make([]graph.Value, len(grads))
	for i, v := range grads {
		clipped[i] = g.Mul(v, factor)
	}
	return clipped, norm
}

// Norm is the joint 2-norm of all gradients, a scalar.
func Norm(g *graph.Graph, grads []graph.Value) graph.Value {
	sum := graph.None
	for _, v := range grads {
		s := g.ReduceSum(g.Square(v), false)
		if sum == graph.None {
			sum = s
		} else {
			sum = g.Add(sum, s)
		}
	}
	if sum == graph.None {
		return g.ConstF(0)
	}
	return g.Sqrt(sum)
}
