package lower

import (
	"slices"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

func poolAttrs(a graph.PoolAttrs) []onnx.Attr {
	return []onnx.Attr{attr("kernel_shape", []int{a.Kernel, a.Kernel}), attr("strides", []int{a.Stride, a.Stride}),
		attr("pads", []int{a.Pad, a.Pad, a.Pad, a.Pad})}
}

// maxPool emits the pooling, with the indices of the maxima if the backward
// pass needs them.
func (l *lowerer) maxPool(x string, a graph.PoolAttrs, indices bool) []string {
	dts := []graph.DType{l.types[x]}
	if indices {
		dts = append(dts, graph.Int64)
	}
	return l.emit(onnx.Standard, "MaxPool", dts, []string{x}, poolAttrs(a)...)
}

func lowerMaxPool(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.PoolAttrs)
	l.set(n, l.maxPool(l.in(n, 0), a, l.needsIndices(n))[0])
}

// needsIndices reports whether the backward pass of a pooling is in the graph.
func (l *lowerer) needsIndices(n graph.Node) bool {
	return slices.ContainsFunc(l.users[n.Out[0]], func(i int) bool { return l.g.Nodes()[i].Op == "MaxPoolGrad" })
}

// lowerMaxPoolScatter adds the gradient up at the indices of the maxima.
func lowerMaxPoolScatter(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.PoolAttrs)
	shape := l.g.Shape(n.In[0])
	indices := l.maxPool(l.in(n, 0), a, true)[1]
	zeros := l.emit(onnx.Standard, "ConstantOfShape", []graph.DType{graph.Float32}, []string{l.ints(elems(shape))},
		attr("value", onnx.NewTensor("value", onnx.TensorProto_FLOAT, []int{1}, make([]byte, 4))))[0]
	dx := l.op("ScatterElements", []string{zeros, l.reshape(indices, -1), l.reshape(l.in(n, 2), -1)},
		attr("axis", int64(0)), attr("reduction", "add"))
	l.set(n, l.reshape(dx, shape...))
}

// lowerMaxPoolGradCPU uses MaxUnpool, which writes and does not add, and is
// therefore right where windows do not overlap; it is much faster.
func lowerMaxPoolGradCPU(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.PoolAttrs)
	if a.Stride < a.Kernel {
		lowerMaxPoolScatter(l, n)
		return
	}
	indices := l.maxPool(l.in(n, 0), a, true)[1]
	dy := l.in(n, 2)
	dx := l.emit(onnx.Standard, "MaxUnpool", []graph.DType{l.types[dy]},
		[]string{dy, indices, l.ints(l.g.Shape(n.In[0])...)}, poolAttrs(a)...)[0]
	l.set(n, dx)
}

func lowerGlobalAvgPool(l *lowerer, n graph.Node) { l.set(n, l.reduceMean(l.in(n, 0), true, 2, 3)) }
