package zoo

import (
	"fmt"
	"strings"
)

// Info describes a model of the zoo.
type Info struct {
	Name             string
	Tasks            []string // task types that it can be trained for
	DefaultImageSize int      // pixels, square
	MinImageSize     int      // smallest size that its strides can take
	SizeMultiple     int      // image sizes must be a multiple of it
	Parameters       int      // trainable numbers with 1000 classes
	Hub              string   // repository of its pretrained weights; "" if there are none
	Classifier       []string // parameters whose first dimension is the number of classes
	Description      string
	License          string // SPDX id of architecture and pretrained weights
	Mean, Std        [3]float32
	Interpolation    string  // bilinear | bicubic
	CropPct          float64 // evaluation resizes to size/CropPct, then crops the centre
}

// ParametersText is the parameter count as model lists show it: "25.6M", "76K".
func (i Info) ParametersText() string {
	if i.Parameters >= 1e6 {
		return fmt.Sprintf("%.1fM", float64(i.Parameters)/1e6)
	}
	return fmt.Sprintf("%.0fK", float64(i.Parameters)/1e3)
}

// CheckSize reports whether the model can take square images of that size.
func (i Info) CheckSize(size int) error {
	switch {
	case size < i.MinImageSize:
		return fmt.Errorf("model %s takes images of at least %d px, not %d", i.Name, i.MinImageSize, size)
	case i.SizeMultiple > 1 && size%i.SizeMultiple != 0:
		return fmt.Errorf("model %s takes image sizes that are a multiple of %d, not %d", i.Name, i.SizeMultiple, size)
	}
	return nil
}

// Names returns the names of all models, in the order of All.
func Names() []string {
	names := make([]string, len(All))
	for i, m := range All {
		names[i] = m.Name
	}
	return names
}

// Lookup finds a model by name.
func Lookup(name string) (Model, error) {
	for _, m := range All {
		if m.Name == name {
			return m, nil
		}
	}
	return Model{}, fmt.Errorf("unknown model %q, want one of %s", name, strings.Join(Names(), ", "))
}

// What ImageNet models of timm share.
var (
	imagenetMean = [3]float32{0.485, 0.456, 0.406}
	imagenetStd  = [3]float32{0.229, 0.224, 0.225}
	half         = [3]float32{0.5, 0.5, 0.5}
	classify     = []string{"image_classification"}
)
