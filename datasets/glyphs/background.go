package glyphs

import (
	"math"

	"github.com/trainwright/trainwright/engine/rng"
)

// background is what a character stands on: a plain colour, a gradient,
// stripes or soft spots around it, never so far from it that the character
// could get lost.
type background struct {
	base   color
	change color // the most that is added
	kind   int
	dx, dy float64
	phase  float64
}

const (
	plain = iota
	gradient
	stripes
	spots
	kinds
)

func newBackground(base color, random *rng.Stream) background {
	angle := random.Uniform(0, 2*math.Pi)
	b := background{base: base, kind: random.IntN(kinds), phase: random.Uniform(0, 2*math.Pi)}
	b.dx, b.dy = math.Cos(angle), math.Sin(angle)
	for i := range b.change {
		b.change[i] = random.Uniform(-35, 35)
	}
	return b
}

// at is the colour at (x,y), both in [0,1).
func (b background) at(x, y float64) color {
	along := b.dx*(x-0.5) + b.dy*(y-0.5)
	v := 0.0
	switch b.kind {
	case gradient:
		v = 2 * along
	case stripes:
		v = math.Sin(18*along + b.phase)
	case spots:
		v = math.Sin(9*x+b.phase) * math.Cos(7*y+b.phase*b.dx)
	}
	c := b.base
	for i := range c {
		c[i] += v * b.change[i]
	}
	return c
}
