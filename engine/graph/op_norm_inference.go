package graph

// batchNormInferenceOp is BatchNormInference(x, scale, bias, mean, var).
func batchNormInferenceOp() Op {
	in := func(shape ...int) []Spec {
		return []Spec{f32(Normal, shape...), f32(Normal, shape[1]), f32(Normal, shape[1]), i64(shape[1])}
	}
	build := one(func(g *Graph, in []Value) Value {
		mean := g.Cast(in[3], Float32)
		return g.BatchNormInference(in[0], in[1], in[2], mean, g.Add(mean, g.ConstF(1)), 1e-5)
	})
	return Op{Name: "BatchNormInference",
		Infer:    func(in []Type, _ any) ([]Type, error) { return in[:1], channels(in[0], in[1:]...) },
		Gradient: batchNormInferenceGradient,
		Samples: []Sample{
			{Name: "image", In: in(2, 3, 4, 4), Build: build},
			{Name: "image in blocks", In: in(2, 16, 3, 3), Build: build},
			{Name: "rows", In: in(4, 3), Build: build},
		},
	}
}

// batchNormInferenceGradient: y = (x-mean)*r*scale + bias with r = 1/sqrt(var+eps)
// and constant statistics.
func batchNormInferenceGradient(g *Graph, n Node, dy []Value, need []bool) []Value {
	x, scale, mean, variance, at := n.In[0], n.In[1], n.In[3], n.In[4], n.Attr.(NormAttrs)
	r := g.Div(g.ConstF(1), g.Sqrt(g.Add(variance, g.ConstF(at.Epsilon))))
	var axes []int
	channel := make([]int, g.Rank(x))
	for i := range channel {
		if channel[i] = 1; i != 1 {
			axes = append(axes, i)
		}
	}
	channel[1] = -1
	out := make([]Value, 5)
	if need[0] {
		out[0] = g.Mul(dy[0], g.Reshape(g.Mul(scale, r), channel...))
	}
	if need[1] {
		centred := g.Sub(x, g.Reshape(mean, channel...))
		out[1] = g.Mul(r, g.ReduceSum(g.Mul(dy[0], centred), false, axes...))
	}
	if need[2] {
		out[2] = g.ReduceSum(dy[0], false, axes...)
	}
	return out
}

// BatchNormInference normalises x [N, C, ...] with given statistics [C], then
// scales and shifts it. Gradients flow to x, scale and bias; the statistics
// count as constants.
func (g *Graph) BatchNormInference(x, scale, bias, mean, variance Value, eps float32) Value {
	return g.add1("BatchNormInference", NormAttrs{eps}, x, scale, bias, mean, variance)
}
