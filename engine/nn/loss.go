package nn

import "github.com/trainwright/trainwright/engine/graph"

// CrossEntropy is the mean over the batch of the cross entropy of logits
// [N, K] and int64 labels [N], as
// torch.nn.CrossEntropyLoss(label_smoothing=smoothing).
func CrossEntropy(g *graph.Graph, logits, labels graph.Value, smoothing float64) graph.Value {
	return g.Mean(g.SoftmaxCrossEntropy(logits, labels, graph.CrossEntropyAttrs{Smoothing: float32(smoothing)}))
}
