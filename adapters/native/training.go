package native

import "github.com/trainwright/trainwright/hclspec/schema"

func trainingFields() []schema.Field {
	return group("Training", schema.Apply, []schema.Field{
		{
			Name: "mixed_precision", Type: schema.Boolean, Label: "Mixed precision",
			Description: "Compute in half precision where the device is faster for it; weights stay in single precision.",
			Default:     false, Devices: []string{"cuda"},
		},
		{
			Name: "gradient_clip_value", Type: schema.Number, Label: "Gradient clipping",
			Description: "Largest norm of all gradients together; longer ones are scaled down to it. 0 is off.",
			Default:     0.0, Min: num(0), Max: num(1000), Step: num(0.1),
		},
		{
			Name: "gradient_accumulation", Type: schema.Integer, Label: "Gradient accumulation", Unit: "batches",
			Description: "Batches whose gradients are averaged before one update of the weights.",
			Default:     int64(1), Min: num(1), Max: num(1024), Step: num(1),
		},
		{
			Name: "label_smoothing", Type: schema.Number, Label: "Label smoothing",
			Description: "Share of each target that is spread evenly over all classes, in training only. 0 is off.",
			Default:     0.0, Min: num(0), Max: num(1), Step: num(0.05),
		},
		{
			// The average restarts at the current weights: one of another
			// decay would be neither the old nor the new.
			Name: "ema_decay", Type: schema.Number, Label: "EMA decay",
			Description: "Decay of a moving average of the weights, which then validates, is kept as best and is exported. 0 is off.",
			Default:     0.0, Min: num(0), Max: num(0.999999), Step: num(0.001), Resume: schema.Reset,
		},
		{
			Name: "early_stopping.patience", Type: schema.Integer, Label: "Early stopping patience", Unit: "epochs",
			Description: "Stop after this many epochs without a better monitored metric. 0 is off.",
			Default:     int64(0), Min: num(0), Max: num(100000), Step: num(1),
		},
		{
			// It decides how many steps an epoch has, and with it what a
			// checkpoint's position within an epoch means.
			Name: "drop_last", Type: schema.Boolean, Label: "Drop last batch",
			Description: "Leave out the last batch of an epoch when it is not full.",
			Default:     false, Resume: schema.Forbid,
		},
	})
}
