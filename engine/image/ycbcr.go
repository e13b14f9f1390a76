package image

import stdimage "image"

// JFIF conversion in 16-bit fixed point with libjpeg's rounding (jdcolor.c), so
// that pixels agree with what Pillow and torchvision read.
var crToR, cbToB, crToG, cbToG = colorTables()

func colorTables() (rr, bb, rg, bg [256]int32) {
	const half = 1 << 15
	for i := range int32(256) {
		v := i - 128
		rr[i] = (91881*v + half) >> 16  // 1.40200
		bb[i] = (116130*v + half) >> 16 // 1.77200
		rg[i] = -46802 * v              // 0.71414
		bg[i] = -22554*v + half         // 0.34414
	}
	return
}

// ycbcrToRGB converts a decoded JPEG or WebP. Chroma is interpolated as
// libjpeg's "fancy upsampling" does (jdsample.c); the standard library would
// repeat it, which differs by up to tens of levels at coloured edges.
func ycbcrToRGB(out *RGB, s *stdimage.YCbCr, convertRow func(dst, y, cb, cr []byte)) {
	w, h := out.Width, out.Height
	hs, vs := subsampling(s.SubsampleRatio)
	cw, ch := (w+hs-1)/hs, (h+vs-1)/vs
	up := upsampler{hs: hs, vs: vs, cw: cw, ch: ch, stride: s.CStride, sums: make([]int32, cw)}
	cbRow, crRow := make([]byte, cw*hs), make([]byte, cw*hs)
	for y := range h {
		up.row(cbRow, s.Cb, y)
		up.row(crRow, s.Cr, y)
		convertRow(out.row(y), s.Y[y*s.YStride:y*s.YStride+w], cbRow[:w], crRow[:w])
	}
}

// jfifRow converts full-range values (JPEG).
func jfifRow(dst, yy, cb, cr []byte) {
	cb, cr = cb[:len(yy)], cr[:len(yy)]
	for x, v := range yy {
		y := int32(v)
		b, r := cb[x], cr[x]
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0] = clip(y + crToR[r])
		d[1] = clip(y + (cbToG[b]+crToG[r])>>16)
		d[2] = clip(y + cbToB[b])
	}
}

// vp8Row converts studio-range BT.601 values (WebP) with libwebp's constants
// (src/dsp/yuv.h); the standard library's colour model takes them for full range.
func vp8Row(dst, yy, cb, cr []byte) {
	cb, cr = cb[:len(yy)], cr[:len(yy)]
	for x, v := range yy {
		y := int32(v) * 19077 >> 8
		b, r := int32(cb[x]), int32(cr[x])
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0] = clip((y + r*26149>>8 - 14234) >> 6)
		d[1] = clip((y - b*6419>>8 - r*13320>>8 + 8708) >> 6)
		d[2] = clip((y + b*33050>>8 - 17685) >> 6)
	}
}

func clip(v int32) byte {
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}

func subsampling(r stdimage.YCbCrSubsampleRatio) (horizontal, vertical int) {
	switch r {
	case stdimage.YCbCrSubsampleRatio422:
		return 2, 1
	case stdimage.YCbCrSubsampleRatio420:
		return 2, 2
	case stdimage.YCbCrSubsampleRatio440:
		return 1, 2
	case stdimage.YCbCrSubsampleRatio411:
		return 4, 1
	case stdimage.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// upsampler makes full-width rows of a chroma plane.
type upsampler struct {
	hs, vs, cw, ch, stride int
	sums                   []int32
}

// row writes the chroma of picture row y into dst, which has cw*hs bytes.
func (u *upsampler) row(dst, plane []byte, y int) {
	cy := y / u.vs
	near := plane[cy*u.stride : cy*u.stride+u.cw]
	fancy := u.hs <= 2 && (u.hs == 1 || u.cw > 2)
	if u.vs == 1 {
		switch {
		case u.hs == 1:
			copy(dst, near)
		case u.hs == 2 && fancy:
			expand(dst, near)
		default:
			repeat(dst, near, u.hs)
		}
		return
	}
	if !fancy {
		repeat(dst, near, u.hs)
		return
	}
	other := cy - 1
	if y%2 == 1 {
		other = cy + 1
	}
	other = max(0, min(other, u.ch-1))
	far := plane[other*u.stride : other*u.stride+u.cw]
	if u.hs == 1 {
		bias := int32(1 + y%2)
		for i, v := range near {
			dst[i] = byte((3*int32(v) + int32(far[i]) + bias) >> 2)
		}
		return
	}
	sums := u.sums
	for i, v := range near {
		sums[i] = 3*int32(v) + int32(far[i])
	}
	n := len(sums)
	dst = dst[:2*n]
	last, this := sums[0], sums[0]
	for i := 0; i < n-1; i++ {
		next := sums[i+1]
		dst[2*i] = byte((3*this + last + 8) >> 4)
		dst[2*i+1] = byte((3*this + next + 7) >> 4)
		last, this = this, next
	}
	dst[2*n-2] = byte((3*this + last + 8) >> 4)
	dst[2*n-1] = byte((4*this + 7) >> 4)
}

// expand doubles a row with weights 3/4 and 1/4.
func expand(dst, src []byte) {
	n := len(src)
	for i, v := range src {
		this := 3 * int32(v)
		last, next := int32(src[max(i-1, 0)]), int32(src[min(i+1, n-1)])
		dst[2*i] = byte((this + last + 1) >> 2)
		dst[2*i+1] = byte((this + next + 2) >> 2)
	}
}

func repeat(dst, src []byte, times int) {
	for i, v := range src {
		for j := range times {
			dst[i*times+j] = v
		}
	}
}
