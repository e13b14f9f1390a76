package glyphs

import (
	"fmt"
	"os"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomediumitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonobolditalic"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// outline is a character's shape, centred on 0 and at most 1 high and wide.
type outline []sfnt.Segment

// outlineUnit is the fixed-point length of 1.
const outlineUnit = 1 << 14

// loadFonts returns, font by font, the outlines of the first n classes.
func loadFonts(paths []string, n int) ([][]outline, error) {
	sources := [][]byte{
		goregular.TTF, gomedium.TTF, gobold.TTF, gomono.TTF, gomonobold.TTF,
		goitalic.TTF, gomediumitalic.TTF, gobolditalic.TTF, gomonoitalic.TTF, gomonobolditalic.TTF,
	}
	names := make([]string, len(sources))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("glyphs: font: %w", err)
		}
		sources, names = append(sources, data), append(names, path)
	}
	fonts := make([][]outline, len(sources))
	for i, source := range sources {
		f, err := sfnt.Parse(source)
		if err != nil {
			return nil, fmt.Errorf("glyphs: font %s: %w", names[i], err)
		}
		for _, c := range classes[:n] {
			o, err := load(f, c.char)
			if err != nil {
				return nil, fmt.Errorf("glyphs: font %s: character %q: %w", names[i], c.char, err)
			}
			fonts[i] = append(fonts[i], o)
		}
	}
	return fonts, nil
}

func load(f *sfnt.Font, char rune) (outline, error) {
	var b sfnt.Buffer
	glyph, err := f.GlyphIndex(&b, char)
	if err != nil {
		return nil, err
	}
	if glyph == 0 {
		return nil, fmt.Errorf("the font lacks it")
	}
	const ppem = 256 << 6
	segments, err := f.LoadGlyph(&b, glyph, ppem, nil)
	if err != nil {
		return nil, err
	}
	bounds, _, err := f.GlyphBounds(&b, glyph, ppem, font.HintingNone)
	if err != nil {
		return nil, err
	}
	size := max(bounds.Max.X-bounds.Min.X, bounds.Max.Y-bounds.Min.Y)
	if size <= 0 {
		return nil, fmt.Errorf("its outline is empty")
	}
	middle := fixed.Point26_6{X: (bounds.Min.X + bounds.Max.X) / 2, Y: (bounds.Min.Y + bounds.Max.Y) / 2}
	out := make(outline, len(segments))
	for i, s := range segments {
		for j, p := range s.Args {
			p = p.Sub(middle)
			s.Args[j] = fixed.Point26_6{X: p.X * outlineUnit / size, Y: p.Y * outlineUnit / size}
		}
		out[i] = s
	}
	return out, nil
}

// matrix maps outline coordinates to pixels: (ax+by+c, dx+ey+f).
type matrix struct{ a, b, c, d, e, f float64 }

// draw adds the outline to r.
func (o outline) draw(r *vector.Rasterizer, m matrix) {
	at := func(p fixed.Point26_6) (float32, float32) {
		x, y := float64(p.X)/outlineUnit, float64(p.Y)/outlineUnit
		return float32(m.a*x + m.b*y + m.c), float32(m.d*x + m.e*y + m.f)
	}
	for _, s := range o {
		x0, y0 := at(s.Args[0])
		x1, y1 := at(s.Args[1])
		x2, y2 := at(s.Args[2])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			r.ClosePath()
			r.MoveTo(x0, y0)
		case sfnt.SegmentOpLineTo:
			r.LineTo(x0, y0)
		case sfnt.SegmentOpQuadTo:
			r.QuadTo(x0, y0, x1, y1)
		case sfnt.SegmentOpCubeTo:
			r.CubeTo(x0, y0, x1, y1, x2, y2)
		}
	}
	r.ClosePath()
}
