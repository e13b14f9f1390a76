package report

import (
	"bytes"
	"encoding/base64"
	"html/template"
	stdimage "image"
	"image/jpeg"
	"slices"

	"github.com/trainwright/trainwright/engine/image"
	"github.com/trainwright/trainwright/pipelines"
)

const (
	thumbSide  = 112 // pixels, the longer side
	maxSamples = 48  // thumbnails in a page
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
		if small, err := Thumbnail(p.Path); err != nil {
			s.Why = "cannot be shown: " + err.Error()
		} else {
			s.Image = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(small))
		}
		out = append(out, s)
	}
	return out
}

// Thumbnail reads an image file as training does and returns it, at most 112
// pixels wide and high, as JPEG.
func Thumbnail(path string) ([]byte, error) {
	src, err := image.ReadFile(path)
	if err != nil {
		return nil, err
	}
	side := max(src.Width, src.Height)
	w := max(1, src.Width*thumbSide/side)
	h := max(1, src.Height*thumbSide/side)
	small := image.Resize(src, w, h, image.Bilinear)
	dst := stdimage.NewRGBA(stdimage.Rect(0, 0, w, h))
	for i := range w * h {
		copy(dst.Pix[4*i:], small.Pix[3*i:3*i+3])
		dst.Pix[4*i+3] = 0xff
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, dst, &jpeg.Options{Quality: 80}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
