package image_test

import (
	"bytes"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"github.com/trainwright/trainwright/engine/image"
)

// photo makes a JPEG with smooth areas, edges and colour.
func photo(width, height int) []byte {
	m := stdimage.NewNRGBA(stdimage.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			v := 128 + 100*math.Sin(float64(x)/17)*math.Cos(float64(y)/23)
			m.SetNRGBA(x, y, color.NRGBA{byte(v), byte(x * 255 / width), byte((x/32 + y/32) % 2 * 200), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 85}); err != nil {
		panic(err) // encoding into memory cannot fail
	}
	return b.Bytes()
}

func BenchmarkDecode500x375(b *testing.B) {
	data := photo(500, 375)
	for b.Loop() {
		if _, err := image.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval224(b *testing.B) {
	m, err := image.Decode(photo(500, 375))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 3*224*224)
	for _, f := range []image.Filter{image.Bilinear, image.Bicubic} {
		b.Run(string(f), func(b *testing.B) {
			e := image.Eval{Size: 224, CropPct: 0.875, Filter: f}
			for b.Loop() {
				e.Apply(dst, m)
			}
		})
	}
}
