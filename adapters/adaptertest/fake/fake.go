// Package fake is an adapter without a framework, for tests: its weights and
// losses are a function (a hash) of every config field, epoch and step, it
// obeys docs/protocol.md in every way, a killed and resumed training ends with
// the same bytes as an uninterrupted one, and it fails on demand (see Fault).
//
// Echo is its opposite: it reports its config faithfully and ignores it. The
// suite adaptertest must catch it.
package fake

import (
	"context"
	"os"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// Names of the adapters.
const (
	Name     = "fake"
	EchoName = "echo"
)

const task = "image_classification"

// Adapter is the fake adapter, or with Echo the one that ignores its config.
type Adapter struct{ Echo bool }

var _ adapters.Adapter = Adapter{}

// Registry lists both.
func Registry() adapters.Registry { return adapters.Registry{Adapter{}, Adapter{Echo: true}} }

// Steps are the functions that `runner step` runs for both.
func Steps() map[string]adapters.StepFunc {
	return map[string]adapters.StepFunc{Name: Step, EchoName: EchoStep}
}

// Main makes a test binary its own step program: call it first in TestMain.
// With the command line "… step TASK" it runs the step and exits.
func Main() {
	if len(os.Args) != 3 || os.Args[1] != "step" {
		return
	}
	os.Exit(spool.RunStep(context.Background(), os.Args[2], func(t pipelines.Task) (spool.StepFunc, error) {
		step, ok := Steps()[t.Adapter]
		if !ok {
			return nil, pipelines.Errorf(pipelines.CodeNotFound, "no step for adapter %q", t.Adapter)
		}
		return spool.StepFunc(step), nil
	}))
}

// Info describes the adapter.
func (a Adapter) Info() adapters.Info {
	name := Name
	if a.Echo {
		name = EchoName
	}
	return adapters.Info{
		Name: name, Description: "Trains nothing, for tests", Version: "1", Numerics: 1, License: "Apache-2.0",
		Tasks: []string{task}, Formats: []string{"dice", "imagefolder"}, Devices: []string{"cpu"},
		Kinds: []string{"train", "evaluate", "export"},
	}
}

// Models lists three models.
func (a Adapter) Models(taskType string) []adapters.Model {
	if taskType != "" && taskType != task {
		return nil
	}
	model := func(name string, size int, parameters string) adapters.Model {
		return adapters.Model{
			ModelName: name, Framework: a.Info().Name, TaskTypes: []string{task}, DefaultImageSize: size,
			Parameters: parameters, Description: "A fake model of " + parameters + " parameters", License: "Apache-2.0",
		}
	}
	return []adapters.Model{model("tiny", 32, "32"), model("small", 64, "64"), model("large", 224, "256")}
}

// Schema returns the schema and presets.
func (a Adapter) Schema(taskType string) (schema.Schema, schema.Presets, bool) {
	if taskType != task {
		return schema.Schema{}, nil, false
	}
	return Schema(), Presets(), true
}

// Command starts this very program as `step TASK`.
func (a Adapter) Command(_ context.Context, taskPath string) (adapters.Command, error) {
	exe, err := os.Executable()
	return adapters.Command{Argv: []string{exe, "step", taskPath}}, err
}

// Schema has every field type, conditions on scalars and lists, a chain of
// conditions, unset defaults, and every kind of resume.
func Schema() schema.Schema {
	num := func(v float64) *float64 { return &v }
	opt := func(values ...string) (out []schema.Option) {
		for _, v := range values {
			out = append(out, schema.Option{Value: v})
		}
		return out
	}
	when := func(field string, value any) *schema.Condition { return &schema.Condition{Field: field, Value: value} }
	return schema.Schema{Fields: []schema.Field{
		{Name: "optimizer.type", Type: schema.Select, Default: "adam", Options: opt("adam", "adamw", "sgd"), Group: "Optimizer"},
		{Name: "optimizer.learning_rate", Type: schema.Number, Default: 1e-3, Min: num(0), Max: num(10), Resume: schema.Apply, Group: "Optimizer"},
		{Name: "optimizer.weight_decay", Type: schema.Number, Default: 0.01, Min: num(0), Max: num(1), Resume: schema.Apply, Group: "Optimizer",
			Condition: when("optimizer.type", []any{"adamw", "sgd"})},
		{Name: "optimizer.momentum", Type: schema.Number, Default: 0.9, Min: num(0), Max: num(0.999), Resume: schema.Reset, Group: "Optimizer",
			Condition: when("optimizer.type", "sgd")},
		{Name: "optimizer.nesterov", Type: schema.Boolean, Default: false, Resume: schema.Forbid, Group: "Optimizer",
			Condition: when("optimizer.type", "sgd")},
		{Name: "scheduler.type", Type: schema.Select, Default: "none", Options: opt("none", "cosine", "step"), Resume: schema.Apply, Group: "Scheduler"},
		{Name: "scheduler.T_max", Type: schema.Integer, Min: num(1), Max: num(10000), Unit: "epochs", Resume: schema.Apply, Group: "Scheduler",
			Condition: when("scheduler.type", "cosine")},
		{Name: "scheduler.step_size", Type: schema.Integer, Default: int64(1), Min: num(1), Max: num(10000), Unit: "epochs", Resume: schema.Apply,
			Group: "Scheduler", Condition: when("scheduler.type", "step")},
		{Name: "scheduler.gamma", Type: schema.Number, Default: 0.5, Min: num(0), Max: num(1), Resume: schema.Apply, Group: "Scheduler",
			Condition: when("scheduler.type", "step")},
		{Name: "augmentation.enabled", Type: schema.Boolean, Default: false, Resume: schema.Apply, Group: "Augmentation"},
		{Name: "augmentation.rotation", Type: schema.Number, Default: 0.0, Min: num(0), Max: num(180), Unit: "degrees", Resume: schema.Apply,
			Group: "Augmentation", Condition: when("augmentation.enabled", true)},
		{Name: "augmentation.mix", Type: schema.List, Default: []any{}, Resume: schema.Apply, Group: "Augmentation",
			Condition: when("augmentation.enabled", true)},
		{Name: "layers", Type: schema.Integer, Default: int64(2), Min: num(1), Max: num(64), Resume: schema.Forbid},
		{Name: "tag", Type: schema.String, Default: "", Description: "A string that decides results as well", Resume: schema.Keep},
		{Name: "ema_decay", Type: schema.Number, Default: 0.0, Min: num(0), Max: num(0.9999), Resume: schema.Reset},
		{Name: "mixed_precision", Type: schema.Boolean, Default: false, Description: "Not supported on a cpu", Resume: schema.Apply},
	}}
}

// Presets are basic, standard and aggressive.
func Presets() schema.Presets {
	return schema.Presets{
		"basic":    {"optimizer.type": "adam", "optimizer.learning_rate": 1e-3},
		"standard": {"optimizer.type": "adamw", "optimizer.weight_decay": 0.01, "scheduler.type": "cosine", "augmentation.enabled": true, "mixed_precision": true},
		"aggressive": {"optimizer.type": "adamw", "optimizer.learning_rate": 3e-3, "optimizer.weight_decay": 0.05, "scheduler.type": "cosine",
			"scheduler.T_max": int64(100), "augmentation.enabled": true, "augmentation.rotation": 10.0},
	}
}

// unsupported says which of the given fields can have no effect on a cpu.
func unsupported(values map[string]any) map[string]string {
	out := map[string]string{}
	if on, _ := values["mixed_precision"].(bool); on {
		out["mixed_precision"] = "the fake cpu has no lower precision"
	}
	return out
}

// batches says how many steps an epoch of n samples has.
func batches(n, size int) int { return max(1, (n+size-1)/max(1, size)) }

func best(metrics map[string]float64, monitor, mode string, than *float64) bool {
	v, ok := metrics[monitor]
	if !ok || v != v {
		return false
	}
	if than == nil {
		return true
	}
	if mode == "min" {
		return v < *than
	}
	return v > *than
}

func has(list []string, name string) bool { return slices.Contains(list, name) }
