package lower

import "github.com/trainwright/trainwright/engine/graph"

func gradInputConv(l *lowerer, n graph.Node) (c conv, dy, w string) {
	a, _ := n.Attr.(graph.ConvGradAttrs)
	c = newConv(a.Shape, l.g.Shape(n.In[1]), a.ConvAttrs)
	return c, l.fast(n.In[0], convolution), l.fast(n.In[1], convolution)
}

func (l *lowerer) convTranspose(dy, w string, c conv) string {
	extra := func(size, out, kernel int) int { return size - ((out-1)*c.stride - 2*c.pad + kernel) }
	return l.op("ConvTranspose", []string{dy, w}, attr("pads", []int{c.pad, c.pad, c.pad, c.pad}),
		attr("strides", []int{c.stride, c.stride}), attr("group", c.group),
		attr("output_padding", []int{extra(c.h, c.ho, c.r), extra(c.w, c.wo, c.s)}))
}

// lowerConvTranspose is the gradient of the image by its definition; cuDNN has
// a kernel for it.
func lowerConvTranspose(l *lowerer, n graph.Node) {
	c, dy, w := gradInputConv(l, n)
	l.setFast(n, l.convTranspose(dy, w, c))
}

// lowerConvGradInputCPU avoids ConvTranspose, which that provider computes
// slowly: an unstrided convolution has a convolution with the flipped weight
// as its transpose, and stride 2 splits into four of them.
func lowerConvGradInputCPU(l *lowerer, n graph.Node) {
	c, dy, w := gradInputConv(l, n)
	switch {
	case c.onePixel():
		dx := l.gemm(l.reshape(dy, c.n, c.k), l.reshape(w, c.k, c.c), false, false)
		l.setFast(n, l.reshape(dx, c.n, c.c, 1, 1))
	case c.patches():
		rows := l.gemm(l.pixelRows(dy, c), l.reshape(w, c.k, -1), false, false)
		dx := l.transpose(l.reshape(rows, c.n, c.ho, c.wo, c.c, c.r, c.s), 0, 3, 1, 4, 2, 5)
		l.setFast(n, l.reshape(dx, c.n, c.c, c.h, c.w))
	case c.stride == 1 && c.pad < c.r && c.pad < c.s && (c.group == 1 || c.depthwise()):
		p, q := c.r-1-c.pad, c.s-1-c.pad
		l.setFast(n, l.conv(dy, l.flipped(w, c), 1, c.group, p, q, p, q))
	case c.stride == 2 && c.phased():
		l.setFast(n, l.phases(dy, w, c, 1, nchwPhase))
	default:
		l.setFast(n, l.convTranspose(dy, w, c))
	}
}

// flipped is the weight of the transposed convolution: kernels rotated by half
// a turn, and the roles of the channels exchanged.
func (l *lowerer) flipped(w string, c conv) string {
	if !c.depthwise() {
		w = l.transpose(w, 1, 0, 2, 3)
	}
	if c.r == 1 && c.s == 1 {
		return w
	}
	return l.slice(w, []int{2, 3}, []int{c.r - 1, c.s - 1}, []int{-c.r - 1, -c.s - 1}, []int{-1, -1})
}

// taps says which kernel rows make the result rows of one residue modulo 2, and
// the padding that dy needs for them.
type taps struct {
	rows          []int // in the order in which dy is read
	before, after int
	count         int // rows of this residue, rounded up to the other one's
}

// phaseTaps: dx[2a+r] is the sum over i = r+pad modulo 2 of
// w[i] * dy[a + (r+pad-i)/2].
func phaseTaps(r, kernel, pad, size, out int) taps {
	t := taps{count: (size + 1) / 2}
	first, last := 0, 0
	for i := kernel - 1; i >= 0; i-- {
		if (r+pad-i)%2 != 0 {
			continue
		}
		off := (r + pad - i) / 2
		if len(t.rows) == 0 {
			first = off
		}
		last = off
		t.rows = append(t.rows, i)
	}
	t.before, t.after = -first, t.count-1+last-(out-1)
	return t
}

// phased reports whether the phases are plain convolutions: none needs a crop.
// A 1x1 kernel has taps in one phase only.
func (c conv) phased() bool {
	if c.group != 1 && !c.depthwise() {
		return false
	}
	for r := range 2 {
		v, h := phaseTaps(r, c.r, c.pad, c.h, c.ho), phaseTaps(r, c.s, c.pad, c.w, c.wo)
		if len(v.rows)+len(h.rows) == 0 {
			continue
		}
		if v.before < 0 || v.after < 0 || h.before < 0 || h.after < 0 {
			return false
		}
	}
	return c.r > 1 && c.s > 1 || c.r == 1 && c.s == 1 && c.pad == 0
}

// phaseConv convolves dy with the weight of one phase.
type phaseConv func(l *lowerer, dy, w string, c conv, v, h taps) string

func nchwPhase(l *lowerer, dy, w string, c conv, v, h taps) string {
	return l.conv(dy, w, 1, c.group, v.before, h.before, v.after, h.after)
}

// phases computes dx of a convolution with stride 2 from four convolutions,
// one for each residue of row and column, interleaved; channels lie in blocks
// of the given size, 1 in NCHW.
func (l *lowerer) phases(dy, w string, c conv, block int, phase phaseConv) string {
	part := func(w string, v, h taps) string {
		return l.reshape(phase(l, dy, w, c, v, h), c.n*c.c/block, v.count, 1, h.count, 1, block)
	}
	if !c.depthwise() {
		w = l.transpose(w, 1, 0, 2, 3)
	}
	if c.r == 1 { // only even rows and columns get something
		v, h := phaseTaps(0, 1, 0, c.h, c.ho), phaseTaps(0, 1, 0, c.w, c.wo)
		return l.crop(l.pad(part(w, v, h), make([]int, 6), []int{0, 0, 1, 0, 1, 0}), c, block)
	}
	var rows []string
	for r := range 2 {
		v := phaseTaps(r, c.r, c.pad, c.h, c.ho)
		var cols []string
		for s := range 2 {
			h := phaseTaps(s, c.s, c.pad, c.w, c.wo)
			cols = append(cols, part(l.pick(l.pick(w, 2, v.rows), 3, h.rows), v, h))
		}
		rows = append(rows, l.concat(4, cols...))
	}
	return l.crop(l.concat(2, rows...), c, block)
}

// pick takes the given indices of an axis.
func (l *lowerer) pick(x string, axis int, indices []int) string {
	return l.op("Gather", []string{x, l.ints(indices...)}, attr("axis", axis))
}

// crop joins interleaved phases to an image and cuts what an odd size has too much.
func (l *lowerer) crop(t string, c conv, block int) string {
	h, w := (c.h+1)/2*2, (c.w+1)/2*2
	if h != c.h || w != c.w {
		t = l.reshape(t, c.n*c.c/block, h, w, block)
		t = l.slice(t, []int{1, 2}, []int{0, 0}, []int{c.h, c.w}, nil)
	}
	return l.reshape(t, c.n, c.c, c.h, c.w)
}
