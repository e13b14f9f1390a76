package lower

import (
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

func (l *lowerer) float32s(n int) []graph.DType {
	out := make([]graph.DType, n)
	for i := range out {
		out[i] = graph.Float32
	}
	return out
}

// reducedAxes are all axes of [N, C, ...] but the channels.
func reducedAxes(rank int) []int {
	axes := []int{0}
	for i := 2; i < rank; i++ {
		axes = append(axes, i)
	}
	return axes
}

// lowerBatchNormCPU uses the training mode of BatchNormalization: with
// momentum 0 its running statistics are those of the batch. That kernel writes
// them over its inputs 3 and 4, even over initializers, so each node gets
// tensors of its own that no optimiser merges; their values do not count.
func lowerBatchNormCPU(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.NormAttrs)
	scale := l.in(n, 1)
	own := func(i int) string {
		return l.call("Add", scale, l.scalar(float32(2*int(n.Out[0])+i)))
	}
	out := l.emit(onnx.Standard, "BatchNormalization", l.float32s(3),
		[]string{l.in(n, 0), scale, l.in(n, 2), own(0), own(1)},
		attr("training_mode", int64(1)), attr("momentum", float32(0)), attr("epsilon", a.Epsilon))
	l.set(n, out...)
}

// lowerBatchNormCUDA computes the statistics itself, because the CUDA provider
// has no training mode from opset 14 on.
func lowerBatchNormCUDA(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.NormAttrs)
	x := l.in(n, 0)
	axes := reducedAxes(l.g.Rank(n.In[0]))
	kept := l.reduceMean(x, true, axes...)
	d := l.call("Sub", x, kept)
	c := l.g.Dim(n.In[0], 1)
	mean := l.reshape(kept, c)
	variance := l.reduceMean(l.call("Mul", d, d), false, axes...)
	y := l.op("BatchNormalization", []string{x, l.in(n, 1), l.in(n, 2), mean, variance}, attr("epsilon", a.Epsilon))
	l.set(n, y, mean, variance)
}

// batchNormSums are the per-channel results of a batch norm's backward pass.
// dx = a*dy + (b*x + c).
type batchNormSums struct{ a, b, c, dscale, dbias string }

// batchNormCoefficients derives them from sum(dy) and sum(dy*x) over count
// elements a channel: with r = 1/sqrt(var+eps),
//
//	dbias  = sum(dy)
//	dscale = r * (sum(dy*x) - mean*sum(dy))
//	dx     = scale*r * (dy - dbias/count - (x-mean)*r*dscale/count)
func (l *lowerer) batchNormCoefficients(n graph.Node, sdy, sdyx string, count int) batchNormSums {
	at, _ := n.Attr.(graph.NormAttrs)
	scale, mean, variance := l.in(n, 2), l.in(n, 3), l.in(n, 4)
	inverse := l.scalar(1 / float32(count))
	r := l.call("Reciprocal", l.call("Sqrt", l.call("Add", variance, l.scalar(at.Epsilon))))
	var s batchNormSums
	s.dbias = sdy
	s.dscale = l.call("Mul", r, l.call("Sub", sdyx, l.call("Mul", mean, sdy)))
	s.a = l.call("Mul", scale, r)
	s.b = l.call("Neg", l.call("Mul", l.call("Mul", s.a, r), l.call("Mul", s.dscale, inverse)))
	s.c = l.call("Neg", l.call("Add", l.call("Mul", s.b, mean), l.call("Mul", s.a, l.call("Mul", sdy, inverse))))
	return s
}

func lowerBatchNormGrad(l *lowerer, n graph.Node) {
	x, dy := l.in(n, 0), l.in(n, 1)
	shape := l.g.Shape(n.In[0])
	axes := reducedAxes(len(shape))
	sdy := l.reduceSum(dy, false, axes...)
	sdyx := l.reduceSum(l.call("Mul", dy, x), false, axes...)
	s := l.batchNormCoefficients(n, sdy, sdyx, elems(shape)/shape[1])
	channel := []int{1, shape[1]}
	for range shape[2:] {
		channel = append(channel, 1)
	}
	v := func(name string) string { return l.reshape(name, channel...) }
	rest := l.call("Add", l.call("Mul", x, v(s.b)), v(s.c))
	dx := l.call("Add", l.call("Mul", dy, v(s.a)), rest)
	l.set(n, dx, s.dscale, s.dbias)
}

func lowerLayerNorm(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.NormAttrs)
	out := l.emit(onnx.Standard, "LayerNormalization", l.float32s(3),
		[]string{l.in(n, 0), l.in(n, 1), l.in(n, 2)}, attr("axis", int64(-1)), attr("epsilon", a.Epsilon))
	l.set(n, out...)
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func lowerBatchNormInference(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.NormAttrs)
	l.set(n, l.op("BatchNormalization", []string{l.in(n, 0), l.in(n, 1), l.in(n, 2), l.in(n, 3), l.in(n, 4)}, attr("epsilon", a.Epsilon)))
}
