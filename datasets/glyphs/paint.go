package glyphs

import (
	"image"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/vector"

	"github.com/trainwright/trainwright/engine/rng"
)

// painter paints one picture after another in the same memory.
type painter struct {
	size   int
	fonts  [][]outline
	index  map[rune]int
	raster *vector.Rasterizer
	mask   *image.Alpha
	cover  []float64 // 0..1, how much of the character a pixel shows
	tmp    []float64
	png    png.Encoder
	zlib   *png.EncoderBuffer
}

// Get and Put make the painter a png.EncoderBufferPool of one.
func (p *painter) Get() *png.EncoderBuffer  { return p.zlib }
func (p *painter) Put(b *png.EncoderBuffer) { p.zlib = b }

// color is red, green, blue, each 0..255.
type color [3]float64

func newPainter(size int, fonts [][]outline) *painter {
	p := &painter{
		size: size, fonts: fonts, index: map[rune]int{},
		raster: vector.NewRasterizer(size, size),
		mask:   image.NewAlpha(image.Rect(0, 0, size, size)),
		cover:  make([]float64, size*size), tmp: make([]float64, size*size),
	}
	p.png = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: p}
	for i, c := range classes {
		p.index[c.char] = i
	}
	return p
}

// paint draws char as random says.
func (p *painter) paint(char rune, random *rng.Stream) *image.NRGBA {
	font := p.fonts[random.IntN(len(p.fonts))]
	p.shape(font[p.index[char]], random)
	p.blur(random.Uniform(0, 0.025) * float64(p.size))

	ground, ink := colors(random)
	back := newBackground(ground, random)
	noise := random.Uniform(0, 14)
	out := image.NewNRGBA(image.Rect(0, 0, p.size, p.size))
	for y := range p.size {
		for x := range p.size {
			base := back.at(float64(x)/float64(p.size), float64(y)/float64(p.size))
			cover := p.cover[y*p.size+x]
			pixel := out.Pix[out.PixOffset(x, y):]
			for i := range 3 {
				v := base[i] + cover*(ink[i]-base[i]) + noise*grain(random)
				pixel[i] = byte(max(0, min(v+0.5, 255)))
			}
			pixel[3] = 255
		}
	}
	return out
}

// grain is nearly normal with variance 1: the sum of four random bytes.
func grain(random *rng.Stream) float64 {
	v := random.Uint32()
	sum := v&255 + v>>8&255 + v>>16&255 + v>>24
	return (float64(sum) - 510) / 147.8
}

// shape fills p.cover with the character: 50 to 85 % of the picture, turned by
// up to 15 degrees, slanted, stretched and moved.
func (p *painter) shape(o outline, random *rng.Stream) {
	size := float64(p.size)
	scale := random.Uniform(0.50, 0.85) * size
	stretch := random.Uniform(0.85, 1.15)
	slant := random.Uniform(-0.15, 0.15)
	sin, cos := math.Sincos(random.Uniform(-15, 15) * math.Pi / 180)
	room := max(0, size-scale) / 2
	x := size/2 + random.Uniform(-room, room)
	y := size/2 + random.Uniform(-room, room)
	// turn * slant * stretch, about the middle
	m := matrix{
		a: cos * scale * stretch, b: (cos*slant - sin) * scale, c: x,
		d: sin * scale * stretch, e: (sin*slant + cos) * scale, f: y,
	}
	p.raster.Reset(p.size, p.size)
	p.raster.DrawOp = draw.Src
	o.draw(p.raster, m)
	p.raster.Draw(p.mask, p.mask.Bounds(), image.Opaque, image.Point{})
	for i, v := range p.mask.Pix {
		p.cover[i] = float64(v) / 255
	}
}

// blur smooths p.cover with a Gaussian of that sigma in pixels.
func (p *painter) blur(sigma float64) {
	radius := int(math.Ceil(2 * sigma))
	if sigma < 0.2 {
		return
	}
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		d := float64(i - radius)
		kernel[i] = math.Exp(-d * d / (2 * sigma * sigma))
		sum += kernel[i]
	}
	pass := func(dst, src []float64, step, line int) {
		for i := range p.size {
			for j := range p.size {
				v := 0.0
				for k, w := range kernel {
					at := max(0, min(j+k-radius, p.size-1))
					v += w * src[i*line+at*step]
				}
				dst[i*line+j*step] = v / sum
			}
		}
	}
	pass(p.tmp, p.cover, 1, p.size)
	pass(p.cover, p.tmp, p.size, 1)
}

// colors picks a tinted light ground and a tinted dark ink. Where colours vary
// much more than shapes do, light on dark included, a small network needs
// several epochs more to look past them.
func colors(random *rng.Stream) (ground, ink color) {
	light, dark := random.Uniform(170, 245), random.Uniform(10, 85)
	for i := range ground {
		ground[i] = light + random.Uniform(-40, 40)
		ink[i] = dark + random.Uniform(-40, 40)
	}
	return ground, ink
}
