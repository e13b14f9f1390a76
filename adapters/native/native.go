// Package native describes the built-in adapter: this binary re-run as
// `runner step`, training with the engine of this repository. It holds the
// description only (models, config schema, presets, how a step starts);
// the step itself is package native/step.
package native

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/engine/zoo"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// Name is the adapter's name in pipelines.
const Name = "native"

// Version is the description's version. Numerics is bumped by hand whenever a
// change makes the same inputs train to other results; content keys hold it.
const (
	Version  = "0.1.0"
	Numerics = 1
)

// Adapter implements adapters.Adapter. The zero value runs the current binary.
type Adapter struct {
	Executable string // path of the binary to run; "" is os.Executable()
}

var _ adapters.Adapter = Adapter{}

var tasks = []string{"image_classification"}

// Info describes the adapter.
func (Adapter) Info() adapters.Info {
	return adapters.Info{
		Name:        Name,
		Description: "Built-in training engine over ONNX Runtime; needs no Python",
		Version:     Version,
		Numerics:    Numerics,
		License:     "Apache-2.0",
		Tasks:       slices.Clone(tasks),
		Formats:     []string{"dice", "imagefolder"},
		Devices:     []string{"cpu", "cuda"},
		Kinds:       []string{"train", "evaluate", "export"},
		MaxGPUs:     1,
	}
}

// Models lists the zoo's models for a task type, all for "".
func (Adapter) Models(task string) []adapters.Model {
	models := []adapters.Model{}
	for _, m := range zoo.All {
		if task != "" && !slices.Contains(m.Tasks, task) {
			continue
		}
		models = append(models, adapters.Model{
			ModelName:        m.Name,
			Framework:        Name,
			TaskTypes:        slices.Clone(m.Tasks),
			DefaultImageSize: m.DefaultImageSize,
			Parameters:       m.ParametersText(),
			Pretrained:       m.Hub != "",
			Description:      m.Description,
			License:          m.License,
		})
	}
	return models
}

// Schema returns the config schema and presets of a task type.
func (Adapter) Schema(task string) (schema.Schema, schema.Presets, bool) {
	if !slices.Contains(tasks, task) {
		return schema.Schema{}, nil, false
	}
	return schema.Schema{Fields: slices.Concat(optimizerFields(), schedulerFields(), augmentationFields(), trainingFields())}, presets(), true
}

// Command re-runs this binary as `runner step TASK`.
func (a Adapter) Command(_ context.Context, taskPath string) (adapters.Command, error) {
	exe := a.Executable
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return adapters.Command{}, fmt.Errorf("native adapter: find this program's own path: %w", err)
		}
	}
	return adapters.Command{Argv: []string{exe, "step", taskPath}}, nil
}
