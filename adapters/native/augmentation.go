package native

import "github.com/trainwright/trainwright/hclspec/schema"

// augmentationFields change training images only; the draws depend on (seed,
// epoch, image), never on what was drawn before, so new values count at once.
func augmentationFields() []schema.Field {
	on := when("augmentation.enabled", true)
	return group("Augmentation", schema.Apply, []schema.Field{
		{
			Name: "augmentation.enabled", Type: schema.Boolean, Label: "Augment images",
			Description: "Vary the training images at random; validation images never change.",
			Default:     false,
		},
		{
			Name: "augmentation.random_flip", Type: schema.Boolean, Label: "Random flip",
			Description: "Mirror half of the images left to right. Turn it off where left and right differ, as in text.",
			Default:     true, Condition: on,
		},
		{
			Name: "augmentation.random_crop", Type: schema.Integer, Label: "Random crop", Unit: "px",
			Description: "Pad each side by this much and crop back to size at a random place. 0 is off.",
			Default:     int64(0), Min: num(0), Max: num(128), Step: num(1), Condition: on,
		},
		{
			Name: "augmentation.rotation", Type: schema.Number, Label: "Random rotation", Unit: "degrees",
			Description: "Turn by a random angle of at most this much to either side. 0 is off.",
			Default:     0.0, Min: num(0), Max: num(180), Step: num(1), Condition: on,
		},
		{
			Name: "augmentation.color_jitter", Type: schema.Number, Label: "Color jitter",
			Description: "Change brightness, contrast and saturation by a random factor of at most this much. 0 is off.",
			Default:     0.0, Min: num(0), Max: num(1), Step: num(0.05), Condition: on,
		},
	})
}
