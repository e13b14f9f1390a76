// Package shapes makes a real detection dataset out of nothing: coloured
// shapes with boxes and outlines, whose number, place, size, rotation, colours
// and background vary. It serves the documentation, tests and examples.
package shapes

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/engine/rng"
	"github.com/trainwright/trainwright/pipelines"
)

// Options say what Write makes. The zero value of a field is its default.
type Options struct {
	Format    string // coco, yolo or voc; default coco
	Train     int    // training images; default 200
	Val       int    // validation images; default 50
	ImageSize int    // pixels, square, 32..1024; default 128
	Most      int    // shapes an image, at most; default 4
	Keypoints bool   // four points of each shape, for poses, in place of its outline; not in voc
	Seed      uint64 // other seeds give other images
}

// WithDefaults fills in what is not set.
func (o Options) WithDefaults() Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if o.Format == "" {
		o.Format = "coco"
	}
	set(&o.Train, 200)
	set(&o.Val, 50)
	set(&o.ImageSize, 128)
	set(&o.Most, 4)
	return o
}

func (o Options) validate() error {
	switch {
	case !slices.Contains([]string{"coco", "yolo", "voc"}, o.Format):
		return fmt.Errorf("shapes: labels cannot be written as %q; there are coco, yolo and voc", o.Format)
	case o.Keypoints && o.Format == "voc":
		return fmt.Errorf("shapes: voc has no keypoints; write coco or yolo")
	case o.Train < 1 || o.Train > 100_000 || o.Val < 1 || o.Val > 100_000:
		return fmt.Errorf("shapes: %d training and %d validation images, wanted 1 to 100000 of each", o.Train, o.Val)
	case o.ImageSize < 32 || o.ImageSize > 1024:
		return fmt.Errorf("shapes: image size %d, wanted 32 to 1024", o.ImageSize)
	case o.Most < 1 || o.Most > 20:
		return fmt.Errorf("shapes: %d shapes an image, wanted 1 to 20", o.Most)
	}
	return nil
}

// Classes are what is drawn, by label, with their corners; a circle has many.
var classes = []struct {
	name    string
	corners int
}{{"circle", 40}, {"square", 4}, {"triangle", 3}}

// Write makes images of shapes and their labels in dir, and returns how many
// images and boxes there are. Each image depends only on the seed, its split
// and number, and the image size.
func Write(ctx context.Context, dir string, options Options) (images, boxes int, err error) {
	o := options.WithDefaults()
	if err := o.validate(); err != nil {
		return 0, 0, err
	}
	index := pipelines.DatasetIndex{Name: "shapes", Format: o.Format, Splits: map[string][]pipelines.Sample{}}
	for _, c := range classes {
		index.Classes = append(index.Classes, c.name)
	}
	if o.Keypoints {
		index.Keypoints = &pipelines.Keypoints{Count: 4, Flip: []int{2, 1, 0, 3}}
	}
	for _, split := range []struct {
		name string
		n    int
	}{{"train", o.Train}, {"val", o.Val}} {
		for n := range split.n {
			if err := ctx.Err(); err != nil {
				return images, boxes, err
			}
			m, found := draw(o, rng.New(o.Seed, "shapes/"+split.name, uint64(n)))
			path := datasets.ImagePath(dir, o.Format, split.name, fmt.Sprintf("%s_%05d.png", split.name, n))
			if err := save(path, m); err != nil {
				return images, boxes, err
			}
			index.Splits[split.name] = append(index.Splits[split.name], pipelines.Sample{Path: path, Width: o.ImageSize, Height: o.ImageSize, Boxes: found})
			images, boxes = images+1, boxes+len(found)
		}
	}
	return images, boxes, datasets.WriteLabels(dir, o.Format, index)
}

func save(path string, m image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return fmt.Errorf("shapes: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("shapes: %w", err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// draw paints one image. A shape that would hide half of an earlier one is left out.
func draw(o Options, random *rng.Stream) (*image.RGBA, []pipelines.Box) {
	size := float64(o.ImageSize)
	m := image.NewRGBA(image.Rect(0, 0, o.ImageSize, o.ImageSize))
	ground(m, random)
	var boxes []pipelines.Box
	for range 1 + random.IntN(o.Most) {
		label, r := random.IntN(len(classes)), size*random.Uniform(0.08, 0.22)
		x, y := random.Uniform(r, size-r), random.Uniform(r, size-r)
		turn := random.Uniform(0, 2*math.Pi)
		outline := polygon(x, y, r, turn, classes[label].corners)
		box := pipelines.Box{Label: label, Rect: around(outline), Polygons: [][]float64{outline}}
		paint := color.RGBA{A: 255}
		for _, c := range []*uint8{&paint.R, &paint.G, &paint.B} {
			*c = uint8(130 + random.IntN(126))
		}
		hides := false
		for _, other := range boxes {
			hides = hides || shared(box.Rect, other.Rect) > 0.3*min(box.Rect[2]*box.Rect[3], other.Rect[2]*other.Rect[3])
		}
		if !hides {
			fill(m, outline, paint)
			if o.Keypoints { // a label in yolo's style has either
				box.Polygons, box.Keypoints = nil, extremes(outline)
			}
			boxes = append(boxes, box)
		}
	}
	return m, boxes
}

// ground is a dark gradient with noise.
func ground(m *image.RGBA, random *rng.Stream) {
	size := m.Rect.Dx()
	var base, slope [3]float64
	for c := range 3 {
		base[c], slope[c] = random.Uniform(10, 80), random.Uniform(-40, 40)
	}
	for y := range size {
		for x := range size {
			noise := random.Uniform(-8, 8)
			at := m.PixOffset(x, y)
			for c := range 3 {
				m.Pix[at+c] = uint8(max(0, min(255, base[c]+slope[c]*float64(x+y)/float64(2*size)+noise)))
			}
			m.Pix[at+3] = 255
		}
	}
}

// polygon has its corners to hundredths of a pixel, as labels keep them.
func polygon(x, y, r, turn float64, corners int) []float64 {
	out := make([]float64, 0, 2*corners)
	for i := range corners {
		a := turn + 2*math.Pi*float64(i)/float64(corners)
		out = append(out, math.Round(100*(x+r*math.Cos(a)))/100, math.Round(100*(y+r*math.Sin(a)))/100)
	}
	return out
}

// extremes are an outline's leftmost, topmost, rightmost and bottommost corner,
// each with 2, which says that it is seen.
func extremes(p []float64) []float64 {
	var at [4]int
	for i := 0; i < len(p); i += 2 {
		for k, farther := range [4]bool{p[i] < p[at[0]], p[i+1] < p[at[1]+1], p[i] > p[at[2]], p[i+1] > p[at[3]+1]} {
			if farther {
				at[k] = i
			}
		}
	}
	var out []float64
	for _, i := range at {
		out = append(out, p[i], p[i+1], 2)
	}
	return out
}

func around(p []float64) [4]float64 {
	x0, y0, x1, y1 := p[0], p[1], p[0], p[1]
	for i := 0; i < len(p); i += 2 {
		x0, x1 = min(x0, p[i]), max(x1, p[i])
		y0, y1 = min(y0, p[i+1]), max(y1, p[i+1])
	}
	return [4]float64{x0, y0, x1 - x0, y1 - y0}
}

// shared is the area that two boxes have in common.
func shared(a, b [4]float64) float64 {
	w := min(a[0]+a[2], b[0]+b[2]) - max(a[0], b[0])
	h := min(a[1]+a[3], b[1]+b[3]) - max(a[1], b[1])
	return max(w, 0) * max(h, 0)
}

// fill paints a convex outline, its edges smoothed by four samples a pixel.
func fill(m *image.RGBA, outline []float64, paint color.RGBA) {
	box := around(outline)
	for y := int(box[1]); y <= min(int(box[1]+box[3]), m.Rect.Dy()-1); y++ {
		for x := int(box[0]); x <= min(int(box[0]+box[2]), m.Rect.Dx()-1); x++ {
			inside := 0
			for _, s := range [4][2]float64{{0.25, 0.25}, {0.75, 0.25}, {0.25, 0.75}, {0.75, 0.75}} {
				if within(outline, float64(x)+s[0], float64(y)+s[1]) {
					inside++
				}
			}
			at := m.PixOffset(x, y)
			for c, v := range []uint8{paint.R, paint.G, paint.B} {
				m.Pix[at+c] = uint8((int(m.Pix[at+c])*(4-inside) + int(v)*inside) / 4)
			}
		}
	}
}

func within(p []float64, x, y float64) bool {
	for i := 0; i < len(p); i += 2 {
		j := (i + 2) % len(p)
		if (p[j]-p[i])*(y-p[i+1])-(p[j+1]-p[i+1])*(x-p[i]) < 0 {
			return false
		}
	}
	return true
}
