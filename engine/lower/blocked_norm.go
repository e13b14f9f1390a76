package lower

import (
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

// affine computes a*x + b per channel, plus sum if it is given, then Relu if
// asked: one pass over the image.
func (l *lowerer) affine(x, a, b string, channels int, sum string, relu bool) string {
	in := []string{x, l.reshape(a, channels, 1, 1, 1), b}
	if sum != "" {
		in = append(in, sum)
	}
	attrs := []onnx.Attr{attr("group", channels), attr("kernel_shape", []int{1, 1})}
	if relu {
		attrs = append(attrs, attr("activation", "Relu"))
	}
	return l.internal("Conv", in, attrs...)
}

// blockedBatchNorm computes the statistics by reductions, and normalises, adds
// a residual and applies Relu in one pass where they follow.
func blockedBatchNorm(l *lowerer, n graph.Node) bool {
	if !l.isBlocked(n.In[0]) {
		return false
	}
	at, _ := n.Attr.(graph.NormAttrs)
	x, shape := l.block(n.In[0]), l.g.Shape(n.In[0])
	c := shape[1]
	mean := l.channelReduce("ReduceMean", x, shape, true, c)
	square := l.channelReduce("ReduceMean", l.call("Mul", x, x), shape, true, c)
	variance := l.call("Max", l.call("Sub", square, l.call("Mul", mean, mean)), l.scalar(0))
	r := l.call("Reciprocal", l.call("Sqrt", l.call("Add", variance, l.scalar(at.Epsilon))))
	a := l.call("Mul", l.in(n, 1), r)
	b := l.call("Sub", l.in(n, 2), l.call("Mul", mean, a))
	l.names[n.Out[1]], l.names[n.Out[2]] = mean, variance

	l.normalised(n, x, a, b, c)
	return true
}

// blockedBatchNormInference is blockedBatchNorm with given statistics.
func blockedBatchNormInference(l *lowerer, n graph.Node) bool {
	if !l.isBlocked(n.In[0]) {
		return false
	}
	at, _ := n.Attr.(graph.NormAttrs)
	r := l.call("Reciprocal", l.call("Sqrt", l.call("Add", l.in(n, 4), l.scalar(at.Epsilon))))
	a := l.call("Mul", l.in(n, 1), r)
	b := l.call("Sub", l.in(n, 2), l.call("Mul", l.in(n, 3), a))
	l.normalised(n, l.block(n.In[0]), a, b, l.g.Dim(n.In[0], 1))
	return true
}

// normalised emits a*x + b as the result of n, together with the addition of a
// residual and the Relu that follow it if nothing else uses what is between.
func (l *lowerer) normalised(n graph.Node, x, a, b string, channels int) {
	target, sum, relu := n.Out[0], "", false
	if add := l.onlyUser(target, "Add"); add != nil {
		other := add.In[0] + add.In[1] - target
		if other != target && l.isBlocked(other) && l.g.Type(other).String() == l.g.Type(target).String() {
			target, sum = add.Out[0], l.block(other)
		}
	}
	if next := l.onlyUser(target, "Relu"); next != nil {
		target, relu = next.Out[0], true
	}
	y := l.affine(x, a, b, channels, sum, relu)
	for v := n.Out[0]; ; v = l.onlyUser(v, "").Out[0] {
		l.blocks[v] = y
		if v == target {
			return
		}
	}
}

// onlyUser returns the node that uses v if it is the only one, is of the given
// op ("" for any), and v does not leave the graph.
func (l *lowerer) onlyUser(v graph.Value, op string) *graph.Node {
	if len(l.users[v]) != 1 || l.leaves[v] {
		return nil
	}
	n := &l.g.Nodes()[l.users[v][0]]
	if op != "" && n.Op != op {
		return nil
	}
	return n
}

func blockedBatchNormGrad(l *lowerer, n graph.Node) bool {
	if !l.isBlocked(n.In[0]) && !l.isBlocked(n.In[1]) {
		return false
	}
	x, dy, shape := l.block(n.In[0]), l.block(n.In[1]), l.g.Shape(n.In[0])
	c := shape[1]
	sdy := l.channelReduce("ReduceSum", dy, shape, true, c)
	sdyx := l.channelReduce("ReduceSum", l.call("Mul", dy, x), shape, true, c)
	s := l.batchNormCoefficients(n, sdy, sdyx, elems(shape)/c)
	rest := l.affine(x, s.b, s.c, c, "", false)
	l.blocks[n.Out[0]] = l.affine(dy, s.a, l.fill(0, c), c, rest, false)
	l.names[n.Out[1]], l.names[n.Out[2]] = s.dscale, s.dbias
	return true
}

// blockedMaxPool pools on blocks where the backward pass needs no indices.
func blockedMaxPool(l *lowerer, n graph.Node) bool {
	a, _ := n.Attr.(graph.PoolAttrs)
	if !l.isBlocked(n.In[0]) || !l.blockable(n.Out[0]) || l.needsIndices(n) {
		return false
	}
	l.blocks[n.Out[0]] = l.internal("MaxPool", []string{l.block(n.In[0])}, poolAttrs(a)...)
	return true
}
