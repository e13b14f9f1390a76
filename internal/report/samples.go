package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	_ "image/gif" // the decoders that datasets may hold
	"image/jpeg"
	_ "image/png"
	"os"
	"slices"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/trainwright/trainwright/pipelines"
)

const (
	thumbSide  = 112         // pixels, the longer side
	maxSamples = 48          // thumbnails in a page
	maxPixels  = 100_000_000 // larger images are not decoded
)

// sample is one prediction with its picture.
type sample struct {
	Image      template.URL // data: URI; "" when the file cannot be shown
	Why        string       // why there is no image
	Truth      string
	Prediction string
	Confidence float64
	Loss       float64
	Wrong      bool
	Path       string
}

// samples puts the worst errors first: wrong predictions by falling loss, then right ones.
func samples(v pipelines.Validation) []sample {
	list := slices.Clone(v.Samples)
	slices.SortStableFunc(list, func(a, b pipelines.SamplePrediction) int {
		aw, bw := a.Label != a.Prediction, b.Label != b.Prediction
		switch {
		case aw != bw && aw:
			return -1
		case aw != bw:
			return 1
		case a.Loss > b.Loss:
			return -1
		case a.Loss < b.Loss:
			return 1
		}
		return 0
	})
	var out []sample
	for _, p := range list[:min(maxSamples, len(list))] {
		s := sample{
			Truth: className(v.Classes, p.Label), Prediction: className(v.Classes, p.Prediction),
			Confidence: p.Confidence, Loss: p.Loss, Wrong: p.Label != p.Prediction, Path: p.Path,
		}
		uri, err := thumbnail(p.Path)
		if err != nil {
			s.Why = "cannot be shown: " + err.Error()
		}
		s.Image = uri
		out = append(out, s)
	}
	return out
}

// thumbnail reads an image file and returns it, small, as a data: URI.
func thumbnail(path string) (template.URL, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	header, _, err := image.DecodeConfig(f)
	if err != nil {
		return "", err
	}
	if header.Width <= 0 || header.Height <= 0 || header.Width > maxPixels/header.Height {
		return "", fmt.Errorf("%d x %d pixels", header.Width, header.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return "", err
	}
	src, _, err := image.Decode(f)
	if err != nil {
		return "", err
	}
	side := max(header.Width, header.Height)
	w := max(1, header.Width*thumbSide/side)
	h := max(1, header.Height*thumbSide/side)
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Over, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, dst, &jpeg.Options{Quality: 80}); err != nil {
		return "", err
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}
