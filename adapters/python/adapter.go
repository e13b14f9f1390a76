package python

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// Adapter is an adapter whose steps run in Python, known by its description.
type Adapter struct {
	Name string // in pipelines
	// Source is what the step loads: an absolute path, or a module's name.
	Source       string
	Requirements Requirements
	Describe     func() *Description // valid; called often
	Strict       bool
	Host         Host
}

var (
	_ adapters.Adapter  = Adapter{}
	_ adapters.Preparer = Adapter{}

	_ adapters.Containerized = Adapter{}
)

// Info describes the adapter.
func (a Adapter) Info() adapters.Info {
	d := a.Describe()
	return adapters.Info{
		Name: a.Name, Description: d.Description, Version: d.Version, Numerics: d.Numerics, License: d.License,
		Tasks: slices.Sorted(maps.Keys(d.Tasks)), Formats: d.Formats, Devices: d.Devices, Kinds: d.Kinds, Lock: a.Requirements.Hash,
	}
}

// Models lists the described models for a task type, all for "".
func (a Adapter) Models(task string) []adapters.Model {
	models := []adapters.Model{}
	for _, m := range a.Describe().Models {
		if task == "" || slices.Contains(m.TaskTypes, task) {
			m.Framework = a.Name
			models = append(models, m)
		}
	}
	return models
}

// Schema returns the config schema and presets of a task type.
func (a Adapter) Schema(task string) (schema.Schema, schema.Presets, bool) {
	t, ok := a.Describe().Tasks[task]
	return t.Schema, t.Presets, ok
}

// Command runs the SDK's step in the adapter's environment.
func (a Adapter) Command(_ context.Context, taskPath string) (adapters.Command, error) {
	python, err := a.environment().Interpreter()
	if err != nil {
		return adapters.Command{}, err
	}
	sdk, err := a.Host.SDK()
	if err != nil {
		return adapters.Command{}, err
	}
	argv := []string{python, "-P", "-m", "platform_sdk.step", "--adapter", a.Source}
	if a.Strict {
		argv = append(argv, "--strict")
	}
	return adapters.Command{Argv: append(argv, taskPath), Env: a.Host.environ(sdk)}, nil
}

// Container runs the SDK's step with the python3 of an image, which gets the
// adapter's packages.
func (a Adapter) Container(taskPath string) (adapters.Container, error) {
	sdk, err := a.Host.SDK()
	if err != nil {
		return adapters.Container{}, err
	}
	argv := []string{"python3", "-P", "-m", "platform_sdk.step", "--adapter", a.Source}
	if a.Strict {
		argv = append(argv, "--strict")
	}
	c := adapters.Container{
		Base: "python:3.12-slim", Requirements: a.Requirements.Text, Folders: []string{sdk},
		Command: adapters.Command{Argv: append(argv, taskPath), Env: map[string]string{
			"PYTHONPATH": sdk + ":" + adapters.PackagesDir, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}},
	}
	if filepath.IsAbs(a.Source) {
		c.Folders = append(c.Folders, a.Source)
	}
	return c, nil
}

// Ready tells whether steps can be started here.
func (a Adapter) Ready() error {
	_, err := a.environment().Interpreter()
	return err
}

// Prepare makes the adapter's environment, if it is not there.
func (a Adapter) Prepare(ctx context.Context, o adapters.PrepareOptions) error {
	return a.environment().Make(ctx, o)
}

func (a Adapter) environment() Environment {
	return Environment{Adapter: a.Name, Requirements: a.Requirements, Host: a.Host}
}

// environ is what a process of the SDK needs in its environment.
func (h Host) environ(sdk string) map[string]string {
	path := sdk
	if old, _ := h.lookup("PYTHONPATH"); old != "" {
		path += string(os.PathListSeparator) + old
	}
	return map[string]string{"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
}

// Host is the machine that steps run on, as far as Python is concerned.
type Host struct {
	Cache  string                           // a folder for environments and the SDK
	Lookup func(name string) (string, bool) // environment variables; nil = os.LookupEnv
}

func (h Host) lookup(name string) (string, bool) {
	if h.Lookup == nil {
		return os.LookupEnv(name)
	}
	return h.Lookup(name)
}

func (h Host) dir(parts ...string) string {
	return filepath.Join(append([]string{h.Cache, "python"}, parts...)...)
}
