package conformance

import (
	"maps"
	"slices"

	"github.com/trainwright/trainwright/hclspec/schema"
)

// Fields of these names mean the same in every adapter. With is what else must
// be set for a change of one to show within a few epochs, change the value
// that it is changed to.
var (
	// In every training: by default what YOLO trainings begin with would be over
	// before so short a one, and its few images would not make one update.
	always = map[string]any{"augmentation.close_mosaic": 0, "nominal_batch_size": batchSize}

	with = map[string]map[string]any{
		"optimizer.weight_decay":    {"optimizer.type": "adamw"},
		"scheduler.T_max":           {"scheduler.T_max": 3},
		"scheduler.eta_min":         {"scheduler.type": "cosine"},
		"scheduler.step_size":       {"scheduler.gamma": 0.5, "scheduler.step_size": 2},
		"scheduler.gamma":           {"scheduler.step_size": 1},
		"augmentation.random_flip":  {"augmentation.rotation": 3.0},
		"augmentation.enabled":      {"augmentation.rotation": 3.0, "augmentation.enabled": true},
		"augmentation.color_jitter": {"augmentation.color_jitter": 0.1},
		"scheduler.warmup_momentum": {"optimizer.type": "sgd", "scheduler.warmup_epochs": 2.0},
		"scheduler.warmup_bias_lr":  {"scheduler.warmup_epochs": 2.0},
		// At this rate nothing is learned, so that patience ends.
		"early_stopping.patience": {"optimizer.learning_rate": 1e-9, "scheduler.type": "none"},
	}
	change = map[string]any{
		"scheduler.step_size":       1,
		"scheduler.warmup_epochs":   2,
		"scheduler.eta_min":         1e-4, // below every base rate
		"augmentation.random_crop":  2,
		"augmentation.rotation":     20.0,
		"augmentation.color_jitter": 0.5,
		"gradient_clip_value":       0.01,
		"optimizer.eps":             0.01,
		"early_stopping.patience":   1,
	}
)

// unseen are fields of detectors that no training of this size can show: it
// finds nothing yet, and every figure of what it finds is 0. An adapter's own
// tests must look at the objects that it built.
var unseen = []string{"validation.iou", "validation.max_detections", "early_stopping.patience"}

// leftOut are the fields that are not changed. Nothing is said of those that
// were not asked for.
func leftOut(fields schema.Schema, task string, o Options) map[string]string {
	out := map[string]string{}
	for _, name := range fields.Names() {
		if len(o.Fields) > 0 && !slices.Contains(o.Fields, name) {
			out[name] = ""
		} else if task != classification && slices.Contains(unseen, name) {
			out[name] = "so small a training detects nothing that it could change"
		}
	}
	maps.Copy(out, o.Skip)
	return out
}

// needed is the part of with that a schema has.
func needed(fields schema.Schema) map[string]map[string]any {
	out := map[string]map[string]any{}
	for name, values := range with {
		_, ok := fields.Field(name)
		if fit := fitting(fields, values); ok && len(fit) == len(values) {
			out[name] = fit
		}
	}
	return out
}

// fitting are those of values that a schema takes.
func fitting(fields schema.Schema, values map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range values {
		if f, ok := fields.Field(name); ok {
			if v, err := f.Check(value); err == nil {
				out[name] = v
			}
		}
	}
	return out
}
