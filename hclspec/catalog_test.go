package hclspec_test

import (
	"slices"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// catalog is two small adapters: native with a schema like the real one, and
// a detector with fields of its own.
type catalog struct{}

func (catalog) Adapters() []hclspec.Adapter {
	return []hclspec.Adapter{
		{Name: "native", License: "Apache-2.0", Tasks: []string{"image_classification"}, Formats: []string{"dice", "imagefolder"}, Devices: []string{"cpu", "cuda"}, Kinds: []string{"train", "evaluate", "export"}},
		{Name: "boxes", License: "AGPL-3.0", Tasks: []string{"object_detection"}, Formats: []string{"coco"}, Devices: []string{"cpu"}, Kinds: []string{"train"}},
	}
}

func (catalog) Models(adapter, task string) []hclspec.Model {
	all := map[string][]hclspec.Model{
		"native": {
			{Name: "resnet18", Tasks: []string{"image_classification"}, ImageSize: 224, Pretrained: true, License: "Apache-2.0"},
			{Name: "convnet", Tasks: []string{"image_classification"}, ImageSize: 32, License: "Apache-2.0"},
		},
		"boxes": {{Name: "boxnet", Tasks: []string{"object_detection"}, ImageSize: 640, License: "MIT"}},
	}
	return slices.DeleteFunc(slices.Clone(all[adapter]), func(m hclspec.Model) bool { return task != "" && !slices.Contains(m.Tasks, task) })
}

func (c catalog) Schema(adapter, task string) (schema.Schema, schema.Presets, bool) {
	switch {
	case adapter == "native" && task == "image_classification":
		return nativeSchema, nativePresets, true
	case adapter == "boxes" && task == "object_detection":
		return schema.Schema{Fields: []schema.Field{{Name: "lr0", Type: schema.Number, Default: 0.01}}}, nil, true
	}
	return schema.Schema{}, nil, false
}

func f64(v float64) *float64 { return &v }

func options(values ...string) []schema.Option {
	out := make([]schema.Option, len(values))
	for i, v := range values {
		out[i].Value = v
	}
	return out
}

var nativeSchema = schema.Schema{Fields: []schema.Field{
	{Name: "optimizer.type", Type: schema.Select, Default: "adam", Options: options("adam", "adamw", "sgd"), Resume: schema.Reset},
	{Name: "optimizer.learning_rate", Type: schema.Number, Default: 1e-3, Min: f64(0), Max: f64(10), Resume: schema.Apply},
	{Name: "optimizer.weight_decay", Type: schema.Number, Default: 0.0, Min: f64(0), Max: f64(1), Resume: schema.Apply},
	{Name: "optimizer.momentum", Type: schema.Number, Default: 0.0, Min: f64(0), Max: f64(1), Condition: &schema.Condition{Field: "optimizer.type", Value: "sgd"}},
	{Name: "optimizer.beta1", Type: schema.Number, Default: 0.9, Min: f64(0), Max: f64(1), Condition: &schema.Condition{Field: "optimizer.type", Value: []any{"adam", "adamw"}}},
	{Name: "scheduler.type", Type: schema.Select, Default: "none", Options: options("none", "cosine", "step")},
	{Name: "scheduler.T_max", Type: schema.Integer, Min: f64(1), Condition: &schema.Condition{Field: "scheduler.type", Value: "cosine"}},
	{Name: "augmentation.enabled", Type: schema.Boolean, Default: false},
	{Name: "augmentation.rotation", Type: schema.Number, Default: 0.0, Min: f64(0), Max: f64(180), Condition: &schema.Condition{Field: "augmentation.enabled", Value: true}},
	{Name: "mixed_precision", Type: schema.Boolean, Default: false},
	{Name: "gradient_clip_value", Type: schema.Number, Default: 0.0, Min: f64(0)},
}}

var nativePresets = schema.Presets{
	"basic":      {"optimizer.type": "adam", "optimizer.learning_rate": 1e-3},
	"standard":   {"optimizer.type": "adamw", "optimizer.learning_rate": 1e-3, "optimizer.weight_decay": 0.01, "scheduler.type": "cosine", "scheduler.T_max": 50, "mixed_precision": true},
	"aggressive": {"optimizer.type": "adamw", "optimizer.learning_rate": 3e-3, "scheduler.type": "cosine", "scheduler.T_max": 100},
}
