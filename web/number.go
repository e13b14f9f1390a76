package web

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// Number is a pipelines.Float that describes itself in the API document.
type Number float64

// MarshalJSON writes not finite numbers as strings.
func (n Number) MarshalJSON() ([]byte, error) { return pipelines.Float(n).MarshalJSON() }

// Schema describes both forms.
func (Number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "a number; not finite ones as strings",
		OneOf: []*huma.Schema{
			{Type: huma.TypeNumber},
			{Type: huma.TypeString, Enum: []any{"NaN", "Infinity", "-Infinity"}},
		},
	}
}

func numbers(m map[string]float64) map[string]Number {
	out := make(map[string]Number, len(m))
	for k, v := range m {
		out[k] = Number(v)
	}
	return out
}

func numberList(list []pipelines.Float) []Number {
	out := make([]Number, len(list))
	for i, v := range list {
		out[i] = Number(v)
	}
	return out
}

// Progress is where training is now.
type Progress struct {
	Epoch           int    `json:"epoch" doc:"counted from 1"`
	Epochs          int    `json:"epochs"`
	Step            int64  `json:"step" doc:"within the epoch, counted from 1"`
	Steps           int64  `json:"steps"`
	GlobalStep      int64  `json:"global_step"`
	Loss            Number `json:"loss" doc:"running mean of the epoch"`
	ImagesPerSecond Number `json:"images_per_second"`
	ETASeconds      Number `json:"eta_seconds"`
}

func progressOf(p *pipelines.Progress) *Progress {
	if p == nil {
		return nil
	}
	return &Progress{
		Epoch: p.Epoch, Epochs: p.Epochs, Step: p.Step, Steps: p.Steps, GlobalStep: p.GlobalStep,
		Loss: Number(p.Loss), ImagesPerSecond: Number(p.ImagesPerSecond), ETASeconds: Number(p.ETASeconds),
	}
}
