package lower

import (
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

// inBlocks reports whether a convolution from in to out channels has a kernel
// for blocks.
func (l *lowerer) inBlocks(c conv, in, out int) bool {
	return out%l.o.Block == 0 && in%l.o.Block == 0 && (c.group == 1 || c.depthwise())
}

// blockWeight brings a weight [k, c, r, s] into the order of the blocked
// kernel; few reports input channels that are fewer than a block, which stay
// together. A depthwise weight has one input channel a group.
func (l *lowerer) blockWeight(w string, k, c, r, s int, few, depthwise bool) string {
	b := l.o.Block
	switch {
	case depthwise:
		w = l.transpose(l.reshape(w, k/b, b, r*s), 0, 2, 1)
		return l.reshape(w, k, 1, r, s)
	case few:
		w = l.transpose(l.reshape(w, k/b, b, c, r, s), 0, 2, 3, 4, 1)
	default:
		w = l.transpose(l.reshape(w, k/b, b, c/b, b, r, s), 0, 2, 4, 5, 3, 1)
	}
	return l.reshape(w, k, c, r, s)
}

func (l *lowerer) blockConv(x, w string, stride, group, r, s int, pads ...int) string {
	return l.internal("Conv", []string{x, w}, attr("pads", pads), attr("strides", []int{stride, stride}),
		attr("group", group), attr("kernel_shape", []int{r, s}))
}

func blockedConv(l *lowerer, n graph.Node) bool {
	a, _ := n.Attr.(graph.ConvAttrs)
	c := newConv(l.g.Shape(n.In[0]), l.g.Shape(n.In[1]), a)
	few := c.group == 1 && c.c < l.o.Block && c.k%l.o.Block == 0
	if c.onePixel() || c.patches() || c.ho*c.wo == 1 || c.h*c.w == 1 || (!few && !l.inBlocks(c, c.c, c.k)) {
		return false
	}
	x := l.plain
	if !few {
		x = l.block
	}
	w := l.blockWeight(l.in(n, 1), c.k, c.c, c.r, c.s, few, c.depthwise())
	l.blocks[n.Out[0]] = l.blockConv(x(n.In[0]), w, c.stride, c.group, c.r, c.s, c.pad, c.pad, c.pad, c.pad)
	return true
}

// blockedConvGradInput is lowerConvGradInputCPU on blocks, for the cases that
// are convolutions themselves.
func blockedConvGradInput(l *lowerer, n graph.Node) bool {
	a, _ := n.Attr.(graph.ConvGradAttrs)
	c := newConv(a.Shape, l.g.Shape(n.In[1]), a.ConvAttrs)
	if c.onePixel() || c.patches() || c.ho*c.wo == 1 || c.h*c.w == 1 || !l.inBlocks(c, c.k, c.c) {
		return false
	}
	w := l.in(n, 1)
	switch {
	case c.stride == 1 && c.pad < c.r && c.pad < c.s:
		p, q := c.r-1-c.pad, c.s-1-c.pad
		w = l.blockWeight(l.flipped(w, c), c.c, c.k, c.r, c.s, false, c.depthwise())
		l.blocks[n.Out[0]] = l.blockConv(l.block(n.In[0]), w, 1, c.group, c.r, c.s, p, q, p, q)
	case c.stride == 2 && c.phased():
		l.blocks[n.Out[0]] = l.phases(l.block(n.In[0]), w, c, l.o.Block, blockedPhase)
	default:
		return false
	}
	return true
}

func blockedPhase(l *lowerer, dy, w string, c conv, v, h taps) string {
	r, s := len(v.rows), len(h.rows)
	w = l.blockWeight(w, c.c, c.k, r, s, false, c.depthwise())
	return l.blockConv(dy, w, 1, c.group, r, s, v.before, h.before, v.after, h.after)
}

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

	target, sum, relu := n.Out[0], "", false
	if add, other := l.onlyUser(target, "Add"), graph.None; add != nil {
		other = add.In[0] + add.In[1] - target
		if other != target && l.isBlocked(other) && l.g.Type(other).String() == l.g.Type(target).String() {
			target, sum = add.Out[0], l.block(other)
		}
	}
	if next := l.onlyUser(target, "Relu"); next != nil {
		target, relu = next.Out[0], true
	}
	y := l.affine(x, a, b, c, sum, relu)
	for v := n.Out[0]; ; v = l.onlyUser(v, "").Out[0] {
		l.blocks[v] = y
		if v == target {
			return true
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
