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
// lie within the result. The two passes round to 8 bits between them, in the
// order that Pillow 13 chooses.
func ResizeCrop(out, src *RGB, width, height, x0, y0 int, f Filter) {
	if out.Width == 0 || out.Height == 0 {
		return
	}
	horizontal := newTaps(f, src.Width, width, x0, out.Width)
	vertical := newTaps(f, src.Height, height, y0, out.Height)
	if rowsFirst(src, width, height) {
		left, right := horizontal.span()
		between := New(right-left, out.Height)
		vertical.blendAll(between, src.columns(left, right))
		horizontal.shift(left)
		horizontal.resample(out, between.rows(0, between.Height))
		return
	}
	top, bottom := vertical.span()
	between := New(out.Width, bottom-top)
	horizontal.resample(between, src.rows(top, bottom))
	vertical.shift(top)
	vertical.blendAll(out, between.rows(0, between.Height))
}

// rowsFirst reports that Pillow blends rows before columns: when that drops
// more than twice as many rows as the other pass drops columns. (Its results
// show it; releases before 13 always begin with the columns.)
func rowsFirst(src *RGB, width, height int) bool {
	return height < src.Height && src.Height-height > 2*(src.Width-width)
}

// view is a part of a picture: rows of stride bytes.
type view struct {
	pix    []byte
	stride int
}

// rows is the part of m between two rows.
func (m *RGB) rows(top, bottom int) view {
	return view{m.Pix[3*m.Width*top : 3*m.Width*bottom], 3 * m.Width}
}

// columns is the part of m between two columns; its rows are longer than that.
func (m *RGB) columns(left, right int) view {
	return view{m.Pix[3*left : 3*(m.Width*(m.Height-1)+right)], 3 * m.Width}
}

// span is the range of source positions that t reads.
func (t *taps) span() (from, to int) {
	last := len(t.first) - 1
	return int(t.first[0]), int(t.first[last] + t.count[last])
}

// shift moves the origin of source positions to n.
func (t *taps) shift(n int) {
	for i := range t.first {
		t.first[i] -= int32(n)
	}
}

// resample makes out's columns of the columns of src, row by row.
func (t *taps) resample(out *RGB, src view) {
	for y := range out.Height {
		dst, row := out.row(y), src.pix[y*src.stride:]
		for x, first := range t.first {
			k := t.k[x*t.width : x*t.width+int(t.count[x])]
			p := row[3*first : 3*(int(first)+len(k))]
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
}

// blendAll makes out's rows of the rows of src.
func (t *taps) blendAll(out *RGB, src view) {
	n := 3 * out.Width
	acc := make([]int32, n)
	row := func(y int) []byte { return src.pix[y*src.stride : y*src.stride+n : y*src.stride+n] }
	for y, first := range t.first {
		k, at := t.k[y*t.width:y*t.width+int(t.count[y])], int(first)
		for i := range acc {
			acc[i] = 1 << (precision - 1)
		}
		for ; len(k) >= 2; k, at = k[2:], at+2 {
			a, b, wa, wb := row(at), row(at+1), k[0], k[1]
			a, b = a[:len(acc)], b[:len(acc)]
			for i := range acc {
				acc[i] += wa*int32(a[i]) + wb*int32(b[i])
			}
		}
		if len(k) == 1 {
			a, wa := row(at)[:len(acc)], k[0]
			for i := range acc {
				acc[i] += wa * int32(a[i])
			}
		}
		dst := out.row(y)[:len(acc)]
		for i, v := range acc {
			dst[i] = clip(v >> precision)
		}
	}
}
