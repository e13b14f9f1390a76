package data

import (
	"math"

	"github.com/trainwright/trainwright/engine/rng"
)

// draws are the random numbers of one sample in one epoch. All are drawn
// whatever is enabled, so that turning one change on leaves the others as they
// were.
type draws struct {
	cropX, cropY, flip, angle float64    // uniform in [0,1)
	factors                   [3]float64 // brightness, contrast, saturation; uniform in [0,1)
	order                     []int      // of the three
}

func newDraws(seed uint64, epoch, index int) draws {
	s := rng.New(seed, "augment", uint64(epoch), uint64(index))
	d := draws{cropX: s.Float64(), cropY: s.Float64(), flip: s.Float64(), angle: s.Float64()}
	for i := range d.factors {
		d.factors[i] = s.Float64()
	}
	d.order = s.Perm(3)
	return d
}

// operation is one random change of a size x size picture, in place; tmp is
// scratch of the same length.
type operation interface {
	apply(pix, tmp []byte, size int, d *draws)
	describe(*Augment)
}

// operations builds what a asks for.
func operations(a Augment) []operation {
	var ops []operation
	if a.RandomCrop > 0 {
		ops = append(ops, crop{a.RandomCrop})
	}
	if a.RandomFlip {
		ops = append(ops, flip{})
	}
	if a.Rotation > 0 {
		ops = append(ops, rotate{a.Rotation})
	}
	if a.ColorJitter > 0 {
		ops = append(ops, jitter{a.ColorJitter})
	}
	return ops
}

// crop moves the picture by up to padding pixels; black comes in.
type crop struct{ padding int }

func (c crop) describe(a *Augment) { a.RandomCrop = c.padding }

func (c crop) apply(pix, tmp []byte, size int, d *draws) {
	places := 2*c.padding + 1
	dx := int(d.cropX*float64(places)) - c.padding
	dy := int(d.cropY*float64(places)) - c.padding
	if dx == 0 && dy == 0 {
		return
	}
	copy(tmp, pix)
	clear(pix)
	x0, x1 := max(0, -dx), min(size, size-dx) // columns that stay inside
	if x0 >= x1 {
		return
	}
	for y := max(0, -dy); y < min(size, size-dy); y++ {
		from := 3 * ((y+dy)*size + x0 + dx)
		copy(pix[3*(y*size+x0):3*(y*size+x1)], tmp[from:])
	}
}

// flip mirrors left and right.
type flip struct{}

func (flip) describe(a *Augment) { a.RandomFlip = true }

func (flip) apply(pix, _ []byte, size int, d *draws) {
	if d.flip >= 0.5 {
		return
	}
	for y := range size {
		row := pix[3*size*y : 3*size*(y+1)]
		for l, r := 0, len(row)-3; l < r; l, r = l+3, r-3 {
			row[l], row[r] = row[r], row[l]
			row[l+1], row[r+1] = row[r+1], row[l+1]
			row[l+2], row[r+2] = row[r+2], row[l+2]
		}
	}
}

// rotate turns about the centre.
type rotate struct{ degrees float64 }

func (r rotate) describe(a *Augment) { a.Rotation = r.degrees }

func (r rotate) apply(pix, tmp []byte, size int, d *draws) {
	angle := (2*d.angle - 1) * r.degrees * math.Pi / 180
	sin, cos := math.Sincos(angle)
	copy(tmp, pix)
	center := float64(size-1) / 2
	const one = 1 << 16 // fixed point of source positions
	stepX, stepY := int(cos*one), int(sin*one)
	for y := range size {
		dy := float64(y) - center
		sx := int((center - cos*center - sin*dy) * one)
		sy := int((center - sin*center + cos*dy) * one)
		row := pix[3*size*y : 3*size*(y+1)]
		for x := 0; x < len(row); x += 3 {
			sampleBilinear(row[x:x+3:x+3], tmp, size, sx, sy)
			sx += stepX
			sy += stepY
		}
	}
}

// sampleBilinear reads pix at a position in 16-bit fixed point; outside is black.
func sampleBilinear(dst, pix []byte, size, sx, sy int) {
	x, y := sx>>16, sy>>16
	if x < -1 || y < -1 || x >= size || y >= size {
		dst[0], dst[1], dst[2] = 0, 0, 0
		return
	}
	fx, fy := sx>>8&255, sy>>8&255
	const half = 1 << 15
	if x >= 0 && y >= 0 && x < size-1 && y < size-1 { // all four neighbours lie inside
		at := 3 * (y*size + x)
		upper, lower := pix[at:at+6:at+6], pix[at+3*size:at+3*size+6:at+3*size+6]
		for c := range 3 {
			above := int(upper[c])*(256-fx) + int(upper[c+3])*fx
			below := int(lower[c])*(256-fx) + int(lower[c+3])*fx
			dst[c] = byte((above*(256-fy) + below*fy + half) >> 16)
		}
		return
	}
	weights := [4]int{(256 - fx) * (256 - fy), fx * (256 - fy), (256 - fx) * fy, fx * fy}
	var r, g, b int
	for i, w := range weights {
		px, py := x+i&1, y+i>>1
		if w == 0 || px < 0 || py < 0 || px >= size || py >= size {
			continue
		}
		p := pix[3*(py*size+px):]
		r += w * int(p[0])
		g += w * int(p[1])
		b += w * int(p[2])
	}
	dst[0], dst[1], dst[2] = byte((r+half)>>16), byte((g+half)>>16), byte((b+half)>>16)
}
