package image

import (
	"fmt"
	"math"
)

// Eval is the transform that makes model input of any picture: the shorter
// side is resized to floor(Size/CropPct), the centre Size x Size is cut out.
// It equals timm's evaluation transform with crop_mode "center".
type Eval struct {
	Size    int     `json:"size"`     // pixels, square
	CropPct float64 `json:"crop_pct"` // in (0,1]
	Filter  Filter  `json:"interpolation"`
}

// Validate says what is wrong with e, or returns nil.
func (e Eval) Validate() error {
	if e.Size < 1 || e.Size > 4096 {
		return fmt.Errorf("image size %d is outside 1..4096", e.Size)
	}
	if !(e.CropPct > 0 && e.CropPct <= 1) {
		return fmt.Errorf("crop_pct %v is outside (0,1]", e.CropPct)
	}
	_, err := ParseFilter(string(e.Filter))
	return err
}

// Bytes is the size of one transformed picture.
func (e Eval) Bytes() int { return 3 * e.Size * e.Size }

// Apply writes the transformed picture into dst, which has Bytes bytes.
func (e Eval) Apply(dst []byte, src *RGB) {
	scaled := int(math.Floor(float64(e.Size) / e.CropPct))
	width, height := scaled, scaled
	if src.Width <= src.Height {
		height = int(float64(scaled) * float64(src.Height) / float64(src.Width))
	} else {
		width = int(float64(scaled) * float64(src.Width) / float64(src.Height))
	}
	// Python's round(), which torchvision's center_crop uses, is half to even.
	x0 := int(math.RoundToEven(float64(width-e.Size) / 2))
	y0 := int(math.RoundToEven(float64(height-e.Size) / 2))
	out := &RGB{Width: e.Size, Height: e.Size, Pix: dst[:e.Bytes()]}
	ResizeCrop(out, src, width, height, x0, y0, e.Filter)
}
