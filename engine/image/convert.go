package image

import (
	stdimage "image"
	"image/color"
)

// toRGB converts what the decoders return; every case is one of their types.
func toRGB(src stdimage.Image, format Format) *RGB {
	b := src.Bounds()
	out := New(b.Dx(), b.Dy())
	switch s := src.(type) {
	case *stdimage.YCbCr:
		if format == WebP {
			ycbcrToRGB(out, s, vp8Row)
		} else {
			ycbcrToRGB(out, s, jfifRow)
		}
	case *stdimage.Gray:
		each(out, s.Pix, s.Stride, 1, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[0], p[0] })
	case *stdimage.Gray16:
		each(out, s.Pix, s.Stride, 2, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[0], p[0] })
	case *stdimage.RGBA:
		each(out, s.Pix, s.Stride, 4, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[1], p[2] })
	case *stdimage.NRGBA:
		each(out, s.Pix, s.Stride, 4, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[1], p[2] })
	case *stdimage.RGBA64:
		each(out, s.Pix, s.Stride, 8, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[2], p[4] })
	case *stdimage.NRGBA64:
		each(out, s.Pix, s.Stride, 8, func(d, p []byte) { d[0], d[1], d[2] = p[0], p[2], p[4] })
	case *stdimage.CMYK:
		each(out, s.Pix, s.Stride, 4, func(d, p []byte) {
			k := 255 - uint32(p[3])
			for i := range 3 {
				v := (255-uint32(p[i]))*k + 128
				d[i] = byte((v + v>>8) >> 8) // v/255, rounded
			}
		})
	case *stdimage.Paletted:
		var palette [256][3]byte
		for i, c := range s.Palette {
			if i < len(palette) {
				n := color.NRGBAModel.Convert(c).(color.NRGBA)
				palette[i] = [3]byte{n.R, n.G, n.B}
			}
		}
		each(out, s.Pix, s.Stride, 1, func(d, p []byte) { copy(d, palette[p[0]][:]) })
	default:
		for y := range out.Height {
			row := out.row(y)
			for x := range out.Width {
				n := color.NRGBAModel.Convert(src.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
				row[3*x], row[3*x+1], row[3*x+2] = n.R, n.G, n.B
			}
		}
	}
	return out
}

// each calls set for every pixel, with its 3 bytes in out and its n bytes in pix.
func each(out *RGB, pix []byte, stride, n int, set func(d, p []byte)) {
	for y := range out.Height {
		row, src := out.row(y), pix[y*stride:]
		for x := range out.Width {
			set(row[3*x:3*x+3:3*x+3], src[n*x:n*x+n:n*x+n])
		}
	}
}
