package data

// jitter changes brightness, contrast and saturation, each by a factor in
// [1-strength, 1+strength] (torchvision's ColorJitter without hue).
type jitter struct{ strength float64 }

func (j jitter) describe(a *Augment) { a.ColorJitter = j.strength }

func (j jitter) apply(pix, _ []byte, _ int, d *draws) {
	for _, which := range d.order {
		factor := 1 + (2*d.factors[which]-1)*j.strength
		switch which {
		case 0:
			blendWith(pix, 0, factor)
		case 1:
			blendWith(pix, meanGray(pix), factor)
		case 2:
			saturate(pix, factor)
		}
	}
}

// gray is luma in 16-bit fixed point, ITU-R BT.601 as in Pillow's convert("L").
func gray(p []byte) int {
	return (19595*int(p[0]) + 38470*int(p[1]) + 7471*int(p[2]) + 1<<15) >> 16
}

func meanGray(pix []byte) float64 {
	sum := 0
	for p := pix; len(p) >= 3; p = p[3:] {
		sum += gray(p)
	}
	return float64(sum / (len(pix) / 3))
}

// blendWith sets every value v to base + factor*(v-base).
func blendWith(pix []byte, base, factor float64) {
	var table [256]byte
	for v := range table {
		table[v] = toByte(base + factor*(float64(v)-base))
	}
	for i, v := range pix {
		pix[i] = table[v]
	}
}

// saturate blends every pixel with its own gray.
func saturate(pix []byte, factor float64) {
	const one = 1 << 10
	f := int(factor*one + 0.5)
	for p := pix; len(p) >= 3; p = p[3:] {
		g := gray(p)
		for i := range 3 {
			v := g + (f*(int(p[i])-g)+one/2)>>10
			p[i] = byte(max(0, min(v, 255)))
		}
	}
}

func toByte(v float64) byte { return byte(max(0, min(v+0.5, 255))) }
