package nn

import "github.com/trainwright/trainwright/engine/graph"

// Momentum is the share of the batch's statistics in the running ones, as
// PyTorch's default.
const Momentum = 0.1

// BatchNorm declares name.weight, name.bias, name.running_mean and
// name.running_var [C] and normalises x [N, C, H, W] with epsilon 1e-5. In
// training it uses the batch's mean and biased variance, and assigns
// running = 0.9 running + 0.1 batch with the unbiased variance, as
// torch.nn.BatchNorm2d. The weight starts as scale, which is 1 or, for the last
// one of a residual branch, 0.
func (n *Net) BatchNorm(name string, x graph.Value, scale float32) graph.Value {
	return n.In(name, func() graph.Value {
		g := n.G
		const eps = 1e-5
		c := g.Dim(x, 1)
		w := n.Param(name+".weight", Constant(scale), c)
		b := n.Param(name+".bias", Constant(0), c)
		mean := n.Buffer(name+".running_mean", Constant(0), c)
		variance := n.Buffer(name+".running_var", Constant(1), c)
		if !n.Training {
			return g.BatchNormInference(x, w, b, mean, variance, eps)
		}
		count := 1
		for axis, d := range g.Shape(x) {
			if axis != 1 {
				count *= d
			}
		}
		if count < 2 {
			g.Fail("batch norm needs more than one value per channel in training, got a batch of %v", g.Shape(x))
			return graph.None
		}
		y, m, v := g.BatchNorm(x, w, b, eps)
		unbiased := float32(float64(count) / float64(count-1))
		g.Assign(mean, g.Add(g.Scale(mean, 1-Momentum), g.Scale(m, Momentum)))
		g.Assign(variance, g.Add(g.Scale(variance, 1-Momentum), g.Scale(v, Momentum*unbiased)))
		return y
	})
}

// LayerNorm declares name.weight and name.bias [D] and normalises x [..., D]
// over its last axis.
func (n *Net) LayerNorm(name string, x graph.Value, eps float32) graph.Value {
	return n.In(name, func() graph.Value {
		d := n.G.Dim(x, -1)
		return n.G.LayerNorm(x, n.Param(name+".weight", Constant(1), d), n.Param(name+".bias", Constant(0), d), eps)
	})
}

// LayerNormChannels is LayerNorm over the channels of each pixel of images
// x [N, C, H, W].
func (n *Net) LayerNormChannels(name string, x graph.Value, eps float32) graph.Value {
	y := n.LayerNorm(name, n.G.Transpose(x, 0, 2, 3, 1), eps)
	return n.G.Transpose(y, 0, 3, 1, 2)
}
