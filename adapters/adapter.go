// Package adapters says what a training step can be: the Adapter interface
// that native, timm, ultralytics, transformers and users' own adapters
// fulfil, and the registry that the command is wired with.
package adapters

import (
	"context"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// Adapter describes a way to train and says how its steps are started. All
// methods but Command are pure and fast: validate and plan call them, and
// they neither run Python nor touch data.
type Adapter interface {
	Info() Info
	// Models lists what can be trained for a task type; "" = all.
	Models(task string) []Model
	// Schema returns the config schema and presets of a task type;
	// ok is false when the adapter does not take that task.
	Schema(task string) (s schema.Schema, p schema.Presets, ok bool)
	// Command returns the process that runs a task, given the path of its task.json.
	Command(ctx context.Context, taskPath string) (Command, error)
}

// Preparer is an adapter whose steps need something on the machine that they
// run on which this program does not carry: a Python environment.
type Preparer interface {
	// Ready tells what is missing, and which command obtains it. Pure and fast.
	Ready() error
	// Prepare obtains it, once: repeating it changes nothing.
	Prepare(ctx context.Context, o PrepareOptions) error
}

// PrepareOptions say how an environment is made.
type PrepareOptions struct {
	Offline bool     // only from Wheels and what PIP_FIND_LINKS names
	Wheels  []string // folders with wheels
	// Tell is called with lines for people; nil = nobody listens.
	Tell func(line string)
}

// Info is what an adapter is.
type Info struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Version     string   `json:"version"`
	Numerics    int      `json:"numerics"` // bumped by hand when results change; part of content keys
	License     string   `json:"license"`  // SPDX id
	Tasks       []string `json:"tasks"`
	Formats     []string `json:"formats"` // dataset formats it takes
	Devices     []string `json:"devices"` // cpu, cuda
	Kinds       []string `json:"kinds"`   // train, evaluate, export
	// MaxGPUs is how many GPUs, and machines, one step can use; 0 = as many as it is given.
	MaxGPUs int `json:"max_gpus,omitempty"`
	// Lock is a hash of what else decides results (a requirements lock); part of content keys.
	Lock string `json:"lock,omitempty"`
}

// Model is one entry of the model registry, in the platform's shape.
type Model struct {
	ModelName        string   `json:"model_name"`
	Framework        string   `json:"framework"`
	TaskTypes        []string `json:"task_types"`
	DefaultImageSize int      `json:"default_image_size"`
	Parameters       string   `json:"parameters"` // "25.6M"
	Pretrained       bool     `json:"pretrained"`
	Description      string   `json:"description"`
	License          string   `json:"license"`
}

// Command is a process to start. Argv[0] is an absolute path or found in PATH.
type Command struct {
	Argv []string
	Env  map[string]string // added to the runner's own environment
	Dir  string
}

// Containerized is an adapter whose steps need more in a container than this
// program: a base, packages, files of this machine.
type Containerized interface {
	// Container is how a task's step is started in a container in which all
	// paths are as on this machine.
	Container(taskPath string) (Container, error)
}

// Container is a recipe for an image and the command in it.
type Container struct {
	Command Command
	Base    string // image, where the executor names none
	// Requirements are Python packages to install for the base's python3, as
	// in a requirements file; it finds them in the folder PackagesDir. "" = none.
	Requirements string
	Folders      []string // of this machine, that the step reads
}

// PackagesDir is where a container has the packages of Requirements.
const PackagesDir = "/opt/trainwright/python"

// StepFunc runs one attempt inside a process of this binary (`runner step`).
// It reports through emit, which assigns attempt, seq and time and returns
// once the event is in the spool. ctx ends on SIGTERM: the step then writes a
// checkpoint, emits a result with state cancelled and returns. A returned
// error is for failures that could not be reported as a result.
type StepFunc func(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error

// Registry is an explicit list of adapters.
type Registry []Adapter

// Lookup finds an adapter by name.
func (r Registry) Lookup(name string) (Adapter, bool) {
	for _, a := range r {
		if a.Info().Name == name {
			return a, true
		}
	}
	return nil, false
}

// Names lists the adapters in registry order.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, a := range r {
		names[i] = a.Info().Name
	}
	return names
}

// Models lists every model, filtered by adapter ("" = all) and task type ("" = all).
func (r Registry) Models(framework, task string) []Model {
	models := []Model{}
	for _, a := range r {
		if framework == "" || framework == a.Info().Name {
			models = append(models, a.Models(task)...)
		}
	}
	return models
}
