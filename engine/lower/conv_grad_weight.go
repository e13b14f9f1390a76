package lower

import "github.com/trainwright/trainwright/engine/graph"

// The gradient of a weight is a product of the image and the output gradient,
// both shifted against each other: for stride 1,
//
//	dw[k, c, i, j] = sum over n, h, w of dy[n, k, h, w] * x[n, c, h+i-pad, w+j-pad].
//
// x is shifted by its columns and dy by its rows, so that each is copied r
// times instead of one of them r*s times, and one matrix product makes all
// r*s results.

func lowerConvGradWeight(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.ConvGradAttrs)
	c := newConv(l.g.Shape(n.In[0]), a.Shape, a.ConvAttrs)
	x, dy := l.fast(n.In[0], convolution), l.fast(n.In[1], convolution)
	l.setFast(n, l.gradWeight(x, dy, c))
}

func (l *lowerer) gradWeight(x, dy string, c conv) string {
	switch {
	case c.onePixel():
		dw := l.gemm(l.reshape(dy, c.n, c.k), l.reshape(x, c.n, c.c), true, false)
		return l.reshape(dw, c.k, c.c, 1, 1)
	case c.patches():
		dw := l.gemm(l.pixelRows(dy, c), l.patchRows(x, c), true, false)
		return l.reshape(dw, c.k, c.c, c.r, c.s)
	case c.depthwise():
		return l.gradDepthwise(x, dy, c)
	case c.group > 1:
		return l.gradGroups(x, dy, c)
	case c.r != c.s || c.stride > 2 || c.pad >= c.r:
		return l.gradColumns(x, dy, c)
	case c.stride == 2 && c.r > 1:
		return l.gradStrided(x, dy, c)
	}
	if c.stride == 2 { // 1x1: use every second pixel
		x = l.slice(x, []int{2, 3}, []int{0, 0}, []int{2*c.ho - 1, 2*c.wo - 1}, []int{2, 2})
		c.h, c.w, c.stride = c.ho, c.wo, 1
	}
	if c.r == 1 {
		x = l.padImage(x, c.pad, c.pad, c.pad, c.pad)
		return l.reshape(l.shiftedProduct(x, dy, c), c.k, c.c, 1, 1)
	}
	dw := l.reshape(l.shiftedProduct(x, dy, c), c.r, c.k, c.s, c.c)
	return l.transpose(dw, 1, 3, 0, 2)
}

// gradStrided turns stride 2 into stride 1 on an image of a quarter of the
// size and four times the channels.
func (l *lowerer) gradStrided(x, dy string, c conv) string {
	k := (c.r + 1) / 2
	q := c
	q.r, q.s, q.stride, q.pad, q.c = k, k, 1, 0, 4*c.c
	q.h, q.w = c.ho+k-1, c.wo+k-1
	x = l.padImage(x, c.pad, c.pad, 2*q.h-c.h-c.pad, 2*q.w-c.w-c.pad)
	x = l.op("SpaceToDepth", []string{x}, attr("blocksize", int64(2)))
	dw := l.reshape(l.shiftedProduct(x, dy, q), k, c.k, k, 2, 2, c.c)
	dw = l.reshape(l.transpose(dw, 1, 5, 0, 3, 2, 4), c.k, c.c, 2*k, 2*k)
	if 2*k == c.r {
		return dw
	}
	return l.slice(dw, []int{2, 3}, []int{0, 0}, []int{c.r, c.s}, nil)
}

// shiftedProduct returns [r*k, s*c] for a square kernel of stride 1 with
// pad < r: entry (i*k+o, j*c+p) is dw[o, p, i, j].
func (l *lowerer) shiftedProduct(x, dy string, c conv) string {
	batched := c.batched()
	lead := 1 // the axis of the channels
	if !batched {
		x, dy, lead = l.transpose(x, 1, 0, 2, 3), l.transpose(dy, 1, 0, 2, 3), 0
	}
	rows := c.ho
	if c.r > 1 {
		x = l.padImage(x, 0, c.pad, 0, c.pad)
		border := c.r - 1 - c.pad
		dy = l.padImage(dy, border, 0, border, 0)
		rows = c.h
		var xs, dys []string
		for i := range c.r {
			xs = append(xs, l.slice(x, []int{3}, []int{i}, []int{i + c.wo}, nil))
			dys = append(dys, l.slice(dy, []int{2}, []int{c.r - 1 - i}, []int{c.r - 1 - i + rows}, nil))
		}
		x, dy = l.concat(lead, xs...), l.concat(lead, dys...)
	}
	if batched {
		dw := l.batchMatMul(l.reshape(dy, c.n, c.r*c.k, rows*c.wo), l.reshape(x, c.n, c.s*c.c, rows*c.wo), false, true)
		return l.reduceSum(dw, false, 0)
	}
	return l.gemm(l.reshape(dy, c.r*c.k, -1), l.reshape(x, c.s*c.c, -1), false, true)
}

// batched reports whether one product an image and a sum over the images beat
// a transposition and one product: as measured, for images of 16 pixels and
// more a side, unless the products of all images take much memory.
func (c conv) batched() bool {
	return c.n*c.r*c.s*c.k*c.c*4 < 150e6 && c.ho*c.wo >= 256
}

// gradColumns copies the image once for each element of the kernel.
func (l *lowerer) gradColumns(x, dy string, c conv) string {
	x = l.transpose(l.padImage(x, c.pad, c.pad, c.pad, c.pad), 1, 0, 2, 3)
	var cols []string
	for i := range c.r {
		for j := range c.s {
			cols = append(cols, l.reshape(l.window(x, i, j, c), c.c, -1))
		}
	}
	dw := l.gemm(l.reshape(l.transpose(dy, 1, 0, 2, 3), c.k, -1), l.concat(0, cols...), false, true)
	return l.transpose(l.reshape(dw, c.k, c.r, c.s, c.c), 0, 3, 1, 2)
}

// window is what kernel element (i, j) sees of a padded image.
func (l *lowerer) window(x string, i, j int, c conv) string {
	var steps []int
	if c.stride > 1 {
		steps = []int{c.stride, c.stride}
	}
	return l.slice(x, []int{2, 3}, []int{i, j}, []int{i + (c.ho-1)*c.stride + 1, j + (c.wo-1)*c.stride + 1}, steps)
}

// gradDepthwise multiplies, for each channel, the windows with dy.
func (l *lowerer) gradDepthwise(x, dy string, c conv) string {
	x = l.transpose(l.padImage(x, c.pad, c.pad, c.pad, c.pad), 1, 0, 2, 3)
	var cols []string
	for i := range c.r {
		for j := range c.s {
			cols = append(cols, l.reshape(l.window(x, i, j, c), c.c, 1, c.n*c.ho*c.wo))
		}
	}
	rows := l.reshape(l.transpose(dy, 1, 0, 2, 3), c.c, c.n*c.ho*c.wo, 1)
	return l.reshape(l.call("MatMul", l.concat(1, cols...), rows), c.c, 1, c.r, c.s)
}

// gradGroups treats each group as a convolution of its own.
func (l *lowerer) gradGroups(x, dy string, c conv) string {
	g := c
	g.group, g.c, g.k = 1, c.c/c.group, c.k/c.group
	var parts []string
	for i := range c.group {
		xi := l.slice(x, []int{1}, []int{i * g.c}, []int{(i + 1) * g.c}, nil)
		di := l.slice(dy, []int{1}, []int{i * g.k}, []int{(i + 1) * g.k}, nil)
		parts = append(parts, l.gradWeight(xi, di, g))
	}
	return l.concat(0, parts...)
}
