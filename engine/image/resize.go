package image

import (
	"fmt"
	"math"
)

// Filter is an interpolation filter. Downsampling widens it (antialiasing).
type Filter string

const (
	Bilinear Filter = "bilinear"
	Bicubic  Filter = "bicubic" // a = -0.5
)

// ParseFilter returns the filter of that name.
func ParseFilter(name string) (Filter, error) {
	switch f := Filter(name); f {
	case Bilinear, Bicubic:
		return f, nil
	}
	return "", fmt.Errorf("unknown interpolation %q; wanted bilinear or bicubic", name)
}

func (f Filter) support() float64 {
	if f == Bicubic {
		return 2
	}
	return 1
}

func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	if f != Bicubic {
		return max(0, 1-x)
	}
	const a = -0.5
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// precision is the number of fractional bits of the weights: 8 bits of result
// and 2 of headroom stay within 32.
const precision = 32 - 8 - 2

// taps are the weights of output positions [from, from+len(first)) on one axis.
type taps struct {
	first []int32 // first source position of each
	count []int32 // how many source positions
	width int     // stride of k
	k     []int32
}

// newTaps follows Pillow's precompute_coeffs and normalize_coeffs_8bpc
// (src/libImaging/Resample.c), so that results are equal bit for bit.
func newTaps(f Filter, in, out, from, n int) taps {
	scale := float64(in) / float64(out)
	filterScale := max(scale, 1)
	support := f.support() * filterScale
	t := taps{
		first: make([]int32, n),
		count: make([]int32, n),
		width: min(int(math.Ceil(support))*2+1, in),
	}
	t.k = make([]int32, n*t.width)
	weights := make([]float64, t.width+1)
	for i := range n {
		center := (float64(from+i) + 0.5) * scale
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), in)
		weights = weights[:0]
		sum := 0.0
		for x := lo; x < hi; x++ {
			w := f.at((float64(x) - center + 0.5) / filterScale)
			weights = append(weights, w)
			sum += w
		}
		k := t.k[i*t.width : (i+1)*t.width]
		for j, w := range weights {
			if sum != 0 {
				w /= sum
			}
			k[j] = int32(math.Copysign(0.5, w) + w*(1<<precision))
		}
		t.first[i], t.count[i] = int32(lo), int32(len(weights))
	}
	return t
}

// Resize scales a whole picture to width x height.
func Resize(src *RGB, width, height int, f Filter) *RGB {
	out := New(width, height)
	ResizeCrop(out, src, width, height, 0, 0, f)
	return out
}

// ResizeCrop scales src to width x height and writes the window of out's size
// at (x0,y0) of the result into out, computing nothing else. The window must
// lie within the result. First columns, then rows, rounding to 8 bits between
// them, as Pillow does.
func ResizeCrop(out, src *RGB, width, height, x0, y0 int, f Filter) {
	horizontal := newTaps(f, src.Width, width, x0, out.Width)
	vertical := newTaps(f, src.Height, height, y0, out.Height)
	if out.Height == 0 || out.Width == 0 {
		return
	}
	lastRow := out.Height - 1
	top := int(vertical.first[0])
	bottom := int(vertical.first[lastRow] + vertical.count[lastRow])

	between := src
	if width != src.Width || x0 != 0 || out.Width != src.Width {
		between = New(out.Width, bottom-top)
		for y := top; y < bottom; y++ {
			horizontal.columns(between.row(y-top), src.row(y))
		}
	} else {
		top = 0
	}
	acc := make([]int32, 3*out.Width)
	for y := range out.Height {
		vertical.blend(out.row(y), between, int(vertical.first[y])-top, y, acc)
	}
}

// columns resamples one row.
func (t *taps) columns(dst, src []byte) {
	for x, first := range t.first {
		n := int(t.count[x])
		k := t.k[x*t.width : x*t.width+n]
		p := src[3*first : 3*(int(first)+n)]
		r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
		for _, w := range k {
			q := p[:3:3]
			r += w * int32(q[0])
			g += w * int32(q[1])
			b += w * int32(q[2])
			p = p[3:]
		}
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0], d[1], d[2] = clip(r>>precision), clip(g>>precision), clip(b>>precision)
	}
}

// blend computes output row y from rows of m beginning at first.
func (t *taps) blend(dst []byte, m *RGB, first, y int, acc []int32) {
	k := t.k[y*t.width : y*t.width+int(t.count[y])]
	if len(k) == 1 {
		copy(dst, m.row(first))
		return
	}
	acc = acc[:len(dst)]
	for i := range acc {
		acc[i] = 1 << (precision - 1)
	}
	for len(k) >= 2 {
		a, b := m.row(first)[:len(acc)], m.row(first + 1)[:len(acc)]
		wa, wb := k[0], k[1]
		for i := range acc {
			acc[i] += wa*int32(a[i]) + wb*int32(b[i])
		}
		k, first = k[2:], first+2
	}
	if len(k) == 1 {
		a, wa := m.row(first)[:len(acc)], k[0]
		for i := range acc {
			acc[i] += wa * int32(a[i])
		}
	}
	for i, v := range acc {
		dst[i] = clip(v >> precision)
	}
}
