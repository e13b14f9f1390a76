package lower

import "github.com/trainwright/trainwright/engine/graph"

// conv is one convolution as the lowerings see it: images [n, c, h, w],
// weight [k, c/group, r, s], result [n, k, ho, wo].
type conv struct {
	n, c, h, w, k, r, s, ho, wo int
	stride, pad, group          int
}

func newConv(x, w []int, a graph.ConvAttrs) conv {
	return conv{
		n: x[0], c: x[1], h: x[2], w: x[3], k: w[0], r: w[2], s: w[3],
		ho: (x[2]+2*a.Pad-w[2])/a.Stride + 1, wo: (x[3]+2*a.Pad-w[3])/a.Stride + 1,
		stride: a.Stride, pad: a.Pad, group: a.Group,
	}
}

// patches reports whether the kernel tiles the image.
func (c conv) patches() bool {
	return c.stride > 1 && c.stride == c.r && c.r == c.s && c.pad == 0 && c.group == 1 && c.h == c.ho*c.r && c.w == c.wo*c.s
}

func (c conv) depthwise() bool { return c.group > 1 && c.group == c.c && c.group == c.k }

// onePixel reports whether the convolution is a matrix product already.
func (c conv) onePixel() bool {
	return c.group == 1 && c.r == 1 && c.s == 1 && c.h == 1 && c.w == 1 && c.pad == 0
}

// conv emits a Conv with pads top, left, bottom, right.
func (l *lowerer) conv(x, w string, stride, group int, pads ...int) string {
	return l.op("Conv", []string{x, w}, attr("pads", pads), attr("strides", []int{stride, stride}), attr("group", group))
}

func lowerConv(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.ConvAttrs)
	c := newConv(l.g.Shape(n.In[0]), l.g.Shape(n.In[1]), a)
	x, w := l.fast(n.In[0], convolution), l.fast(n.In[1], convolution)
	switch {
	case c.onePixel():
		y := l.gemm(l.reshape(x, c.n, c.c), l.reshape(w, c.k, c.c), false, true)
		l.setFast(n, l.reshape(y, c.n, c.k, 1, 1))
	case c.patches():
		y := l.gemm(l.patchRows(x, c), l.reshape(w, c.k, -1), false, true) // [n*ho*wo, k]
		y = l.transpose(l.reshape(y, c.n, c.ho, c.wo, c.k), 0, 3, 1, 2)
		l.setFast(n, y)
	default:
		l.setFast(n, l.conv(x, w, c.stride, c.group, c.pad, c.pad, c.pad, c.pad))
	}
}

// patchRows cuts images into patches: [n*ho*wo, c*r*s].
func (l *lowerer) patchRows(x string, c conv) string {
	t := l.transpose(l.reshape(x, c.n, c.c, c.ho, c.r, c.wo, c.s), 0, 2, 4, 1, 3, 5)
	return l.reshape(t, c.n*c.ho*c.wo, c.c*c.r*c.s)
}

// pixelRows makes a row of each pixel: [n, k, ho, wo] -> [n*ho*wo, k].
func (l *lowerer) pixelRows(y string, c conv) string {
	return l.reshape(l.transpose(y, 0, 2, 3, 1), c.n*c.ho*c.wo, c.k)
}
