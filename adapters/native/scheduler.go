package native

import "github.com/trainwright/trainwright/hclspec/schema"

// schedulerFields are the fields of engine/optim.Schedule. A schedule is a
// function of the epoch, so a resumed training follows the new one from where
// it stands.
func schedulerFields() []schema.Field {
	return group("Scheduler", schema.Apply, []schema.Field{
		{
			Name: "scheduler.type", Type: schema.Select, Label: "Scheduler",
			Description: "How the learning rate changes from epoch to epoch.",
			Default:     "cosine",
			Options: []schema.Option{
				{Value: "cosine", Label: "Cosine annealing", Description: "Falls along half a cosine from the base rate to eta_min in T_max epochs"},
				{Value: "step", Label: "Step decay", Description: "Multiplied by gamma every step_size epochs"},
				{Value: "none", Label: "Constant", Description: "Stays at the base rate"},
			},
		},
		{
			Name: "scheduler.T_max", Type: schema.Integer, Label: "T_max", Unit: "epochs",
			Description: "Epochs from the base rate down to eta_min. Unset means the length of the training.",
			Min:         num(1), Max: num(100000), Step: num(1), Condition: when("scheduler.type", "cosine"),
		},
		{
			Name: "scheduler.eta_min", Type: schema.Number, Label: "Minimum learning rate",
			Description: "Rate at the bottom of the cosine.",
			Default:     0.0, Min: num(0), Max: num(1), Step: num(1e-6), Condition: when("scheduler.type", "cosine"),
		},
		{
			Name: "scheduler.step_size", Type: schema.Integer, Label: "Step size", Unit: "epochs",
			Description: "Epochs between two multiplications by gamma.",
			Default:     int64(30), Min: num(1), Max: num(100000), Step: num(1), Condition: when("scheduler.type", "step"),
		},
		{
			Name: "scheduler.gamma", Type: schema.Number, Label: "Gamma",
			Description: "Factor on the learning rate at each step.",
			Default:     0.1, Min: num(0), Max: num(1), Step: num(0.05), Condition: when("scheduler.type", "step"),
		},
		{
			Name: "scheduler.warmup_epochs", Type: schema.Integer, Label: "Warm-up", Unit: "epochs",
			Description: "First epochs in which the rate rises in equal steps to the base rate; they replace the beginning of the schedule.",
			Default:     int64(0), Min: num(0), Max: num(1000), Step: num(1),
		},
	})
}
