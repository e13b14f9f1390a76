package lower

import "github.com/trainwright/trainwright/engine/graph"

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
