package graph

// CrossEntropyAttrs change SoftmaxCrossEntropy.
type CrossEntropyAttrs struct {
	// Smoothing e mixes the target with the uniform distribution:
	// (1-e)*target + e/K, as torch.nn.CrossEntropyLoss(label_smoothing=e).
	Smoothing float32
}

// SoftmaxCrossEntropy returns the loss of each sample, float32 [N], for logits
// [N, K] and a target that is int64 [N] (classes) or float32 [N, K]
// (probabilities, as mixup makes).
func (g *Graph) SoftmaxCrossEntropy(logits, target Value, a CrossEntropyAttrs) Value {
	classes := g.Dim(logits, -1)
	if g.DType(target) == Int64 {
		target = g.OneHot(target, classes)
	}
	if a.Smoothing != 0 && classes > 0 {
		target = g.Add(g.Scale(target, 1-a.Smoothing), g.ConstF(a.Smoothing/float32(classes)))
	}
	return g.Neg(g.ReduceSum(g.Mul(g.LogSoftmax(logits, -1), target), false, -1))
}

// Mean returns the mean of all elements, a scalar.
func (g *Graph) Mean(x Value) Value { return g.ReduceMean(x, false) }
