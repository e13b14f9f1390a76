package native

import (
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/hclspec/schema"
)

func num(v float64) *float64 { return &v }

func when(field string, value any) *schema.Condition {
	return &schema.Condition{Field: field, Value: value}
}

// optimizerFields are the hyperparameters of engine/optim.Config. All of them
// are values of the step graph, so a resumed training takes new ones; another
// rule has other state, which starts from zero.
func optimizerFields() []schema.Field {
	adams := []any{"adam", "adamw"}
	fields := []schema.Field{
		{
			Name: "optimizer.type", Type: schema.Select, Label: "Optimizer",
			Description: "Update rule for the weights.",
			Default:     "adamw", Resume: schema.Reset, Options: optimizerOptions(),
		},
		{
			Name: "optimizer.learning_rate", Type: schema.Number, Label: "Learning rate",
			Description: "Base learning rate, which the scheduler scales. The same value as learning_rate on the train block.",
			Default:     1e-3, Min: num(0), Max: num(10), Step: num(1e-4),
		},
		{
			Name: "optimizer.weight_decay", Type: schema.Number, Label: "Weight decay",
			Description: "Pull of every weight towards zero: decoupled from the gradient for adamw, added to it (L2) for adam and sgd.",
			Default:     0.01, Min: num(0), Max: num(1), Step: num(1e-3),
		},
		{
			Name: "optimizer.momentum", Type: schema.Number, Label: "Momentum",
			Description: "Share of the last update that is kept in the next one.",
			Default:     0.9, Min: num(0), Max: num(0.9999), Step: num(0.01), Condition: when("optimizer.type", "sgd"),
		},
		{
			Name: "optimizer.nesterov", Type: schema.Boolean, Label: "Nesterov momentum",
			Description: "Look ahead along the momentum before the update; needs momentum above 0.",
			Default:     false, Condition: when("optimizer.type", "sgd"),
		},
		{
			Name: "optimizer.beta1", Type: schema.Number, Label: "Beta 1",
			Description: "Decay of the running mean of gradients.",
			Default:     0.9, Min: num(0), Max: num(0.9999), Step: num(0.01), Condition: when("optimizer.type", adams),
		},
		{
			Name: "optimizer.beta2", Type: schema.Number, Label: "Beta 2",
			Description: "Decay of the running mean of squared gradients.",
			Default:     0.999, Min: num(0), Max: num(0.999999), Step: num(0.001), Condition: when("optimizer.type", adams),
		},
		{
			Name: "optimizer.eps", Type: schema.Number, Label: "Epsilon",
			Description: "Added to the root of the mean squared gradient, so that the step stays finite.",
			Default:     1e-8, Min: num(0), Max: num(1), Step: num(1e-8), Condition: when("optimizer.type", adams),
		},
	}
	return group("Optimizer", schema.Apply, fields)
}

// optimizerOptions lists the rules that the engine has, so that neither list
// can hold a name that the other lacks.
func optimizerOptions() []schema.Option {
	labels := map[string]string{"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
	options := []schema.Option{}
	for _, r := range optim.All {
		label := labels[r.Name]
		if label == "" {
			label = r.Name
		}
		options = append(options, schema.Option{Value: r.Name, Label: label, Description: r.Description})
	}
	return options
}

// group puts fields in a group and gives those without a resume rule this one.
func group(name string, resume schema.Resume, fields []schema.Field) []schema.Field {
	for i := range fields {
		fields[i].Group = name
		if fields[i].Resume == "" {
			fields[i].Resume = resume
		}
	}
	return fields
}
