package native

import "github.com/trainwright/trainwright/hclspec/schema"

// presets are starting points; what a pipeline writes goes on top.
func presets() schema.Presets {
	return schema.Presets{
		"basic": {
			"optimizer.type":          "adam",
			"optimizer.learning_rate": 1e-3,
			"optimizer.weight_decay":  0.0,
			"scheduler.type":          "none",
			"augmentation.enabled":    false,
			"mixed_precision":         false,
			"gradient_clip_value":     0.0,
		},
		"standard": {
			"optimizer.type":           "adamw",
			"optimizer.learning_rate":  1e-3,
			"optimizer.weight_decay":   0.01,
			"scheduler.type":           "cosine",
			"scheduler.T_max":          int64(50),
			"scheduler.eta_min":        1e-6,
			"augmentation.enabled":     true,
			"augmentation.random_flip": true,
			"mixed_precision":          true,
			"gradient_clip_value":      1.0,
		},
		"aggressive": {
			"optimizer.type":           "adamw",
			"optimizer.learning_rate":  3e-3,
			"optimizer.weight_decay":   0.05,
			"scheduler.type":           "cosine",
			"scheduler.T_max":          int64(100),
			"scheduler.eta_min":        1e-7,
			"augmentation.enabled":     true,
			"augmentation.random_flip": true,
			"mixed_precision":          true,
			"gradient_clip_value":      5.0,
		},
	}
}
