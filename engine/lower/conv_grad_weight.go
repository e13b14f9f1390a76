package lower

import "github.com/trainwright/trainwright/engine/graph"

// The gradient of a weight is a product of the image and the output gradient,
// both shifted against each other: for stride 1,
//
//	dw[k, c, i, j] = sum over n, h, w of dy[n, k, h, w] * x[n, c, h+i-pad, w+j-pad].
//
// x is shifted by its columns and dy by its rows, so that each is copied r
// times instead of one of them r*s times.

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
	case !c.shiftable():
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

// shiftable reports whether the shifts of image and output gradient can be
// used: a square kernel of stride 1 or 2, none of whose elements pushes more
// than the whole image out.
func (c conv) shiftable() bool {
	if c.r != c.s || c.stride > 2 || c.pad >= c.r {
		return false
	}
	return c.stride == 2 || c.pad <= min(c.ho, c.wo) && c.r-1-c.pad <= min(c.h, c.w)
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
	if c.c*(c.r-1) < c.k { // few channels: copying x r*s times is the least
		return l.allShifts(x, dy, c, lead)
	}
	xs, dys := l.shifts(x, dy, c)
	parts := 1   // of dy in one product
	if batched { // as measured; without a batch, the copies of dy cost more than they save
		dys, parts = []string{l.concat(lead, dys...)}, c.r
	}
	area := c.h * c.wo
	for i := range xs {
		xs[i] = l.reshapeRows(xs[i], c.n, c.c, area, batched)
	}
	var rows []string
	for _, d := range dys {
		d = l.reshapeRows(d, c.n, parts*c.k, area, batched)
		var row []string
		for _, shifted := range xs {
			row = append(row, l.product(d, shifted, batched))
		}
		rows = append(rows, l.concat(1, row...))
	}
	return l.concat(0, rows...)
}

// shifts returns x shifted by each column of the kernel, and dy by each row,
// with as many columns as dy and as many rows as x.
func (l *lowerer) shifts(x, dy string, c conv) (xs, dys []string) {
	for i := range c.r {
		left, top := c.pad-i, i-c.pad
		xs = append(xs, l.padImage(x, 0, left, 0, c.wo-c.w-left))
		dys = append(dys, l.padImage(dy, top, 0, c.h-c.ho-top, 0))
	}
	return xs, dys
}

// allShifts is shiftedProduct with x shifted by rows and columns.
func (l *lowerer) allShifts(x, dy string, c conv, lead int) string {
	x = l.padImage(x, c.pad, c.pad, c.pad, c.pad)
	var cols []string
	for i := range c.r {
		for j := range c.s {
			cols = append(cols, l.window(x, i, j, c))
		}
	}
	batched := lead == 1
	area := c.ho * c.wo
	dw := l.product(l.reshapeRows(dy, c.n, c.k, area, batched), l.reshapeRows(l.concat(lead, cols...), c.n, c.r*c.s*c.c, area, batched), batched)
	dw = l.transpose(l.reshape(dw, c.k, c.r, c.s, c.c), 1, 0, 2, 3)
	return l.reshape(dw, c.r*c.k, c.s*c.c)
}

func (l *lowerer) reshapeRows(x string, n, rows, area int, batched bool) string {
	if batched {
		return l.reshape(x, n, rows, area)
	}
	return l.reshape(x, rows, n*area)
}

// product multiplies rows of dy with rows of x; a batch is added up.
func (l *lowerer) product(dy, x string, batched bool) string {
	if batched {
		return l.reduceSum(l.batchMatMul(dy, x, false, true), false, 0)
	}
	return l.gemm(dy, x, false, true)
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

// gradDepthwise multiplies, for each channel, the shifts of x with those of dy.
func (l *lowerer) gradDepthwise(x, dy string, c conv) string {
	x, dy = l.transpose(x, 1, 0, 2, 3), l.transpose(dy, 1, 0, 2, 3)
	if !c.shiftable() {
		return l.gradDepthwiseColumns(x, dy, c)
	}
	if c.stride == 1 {
		return l.reshape(l.channelProducts(x, dy, c, 1), c.c, 1, c.r, c.s)
	}
	// Stride 2 is stride 1 on the four phases of the image.
	k := (c.r + 1) / 2
	q := c
	q.r, q.s, q.stride, q.pad = k, k, 1, 0
	q.h, q.w = c.ho+k-1, c.wo+k-1
	x = l.padImage(x, c.pad, c.pad, 2*q.h-c.h-c.pad, 2*q.w-c.w-c.pad)
	x = l.op("SpaceToDepth", []string{x}, attr("blocksize", int64(2)))
	dw := l.reshape(l.channelProducts(x, dy, q, 4), c.c, k, k, 2, 2)
	dw = l.reshape(l.transpose(dw, 0, 1, 3, 2, 4), c.c, 1, 2*k, 2*k)
	if 2*k == c.r {
		return dw
	}
	return l.slice(dw, []int{2, 3}, []int{0, 0}, []int{c.r, c.s}, nil)
}

// channelProducts returns [c, r, s*phases] for x [c, phases*n, h, w] and dy
// [c, n, ho, wo].
func (l *lowerer) channelProducts(x, dy string, c conv, phases int) string {
	xs, dys := l.shifts(x, dy, c)
	area := c.n * c.h * c.wo
	for i := range xs {
		xs[i] = l.reshape(xs[i], c.c, phases, area)
		dys[i] = l.reshape(dys[i], c.c, 1, area)
	}
	return l.batchMatMul(l.concat(1, dys...), l.concat(1, xs...), false, true)
}

// gradDepthwiseColumns copies x once for each element of the kernel.
func (l *lowerer) gradDepthwiseColumns(x, dy string, c conv) string {
	x = l.padImage(x, c.pad, c.pad, c.pad, c.pad)
	var cols []string
	for i := range c.r {
		for j := range c.s {
			cols = append(cols, l.reshape(l.window(x, i, j, c), c.c, 1, c.n*c.ho*c.wo))
		}
	}
	rows := l.reshape(dy, c.c, c.n*c.ho*c.wo, 1)
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
