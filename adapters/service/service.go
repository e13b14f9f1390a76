// Package service is an adapter that another `runner serve` has: what it
// described of it, over HTTP. Its steps run there.
package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// Description is what a server tells of an adapter: all that planning needs.
type Description struct {
	python.Description
	Lock    string `json:"lock,omitempty"`
	MaxGPUs int    `json:"max_gpus,omitempty"`
	GPUs    int    `json:"gpus"` // that its steps may use there
}

// Describe describes an adapter of this machine.
func Describe(a adapters.Adapter, gpus int) Description {
	info := a.Info()
	out := Description{Lock: info.Lock, MaxGPUs: info.MaxGPUs, GPUs: gpus, Description: python.Description{
		Format: python.Format, Name: info.Name, Description: info.Description, License: info.License, Version: info.Version, Numerics: info.Numerics,
		Formats: info.Formats, Devices: info.Devices, Kinds: info.Kinds, Models: a.Models(""), Tasks: map[string]python.Task{},
	}}
	for _, task := range info.Tasks {
		if s, p, ok := a.Schema(task); ok {
			out.Tasks[task] = python.Task{Schema: s, Presets: p}
		}
	}
	return out
}

// Parse reads a description and checks all of it.
func Parse(text []byte) (*Description, error) {
	d := &Description{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("it is no adapter description: %w", err)
	}
	checked, err := python.ParseDescription(text)
	if err != nil {
		return nil, err
	}
	d.Description = *checked
	return d, nil
}

// Adapter is a described adapter. Describe returns what is known of it now.
type Adapter struct{ Describe func() *Description }

var _ adapters.Adapter = Adapter{}

// Info is what the server's adapter is.
func (a Adapter) Info() adapters.Info {
	d := a.Describe()
	out := adapters.Info{Name: d.Name, Description: d.Description.Description, Version: d.Version, Numerics: d.Numerics, License: d.License,
		Formats: d.Formats, Devices: d.Devices, Kinds: d.Kinds, MaxGPUs: d.MaxGPUs, Lock: d.Lock}
	for task := range d.Tasks {
		out.Tasks = append(out.Tasks, task)
	}
	slices.Sort(out.Tasks)
	return out
}

// Models lists what can be trained there.
func (a Adapter) Models(task string) []adapters.Model {
	var out []adapters.Model
	for _, m := range a.Describe().Models {
		if task == "" || slices.Contains(m.TaskTypes, task) {
			out = append(out, m)
		}
	}
	return out
}

// Schema is the config schema of a task there.
func (a Adapter) Schema(task string) (schema.Schema, schema.Presets, bool) {
	t, ok := a.Describe().Tasks[task]
	return t.Schema, t.Presets, ok
}

// Command is none: the server knows how its steps start.
func (a Adapter) Command(context.Context, string) (adapters.Command, error) {
	return adapters.Command{}, nil
}
