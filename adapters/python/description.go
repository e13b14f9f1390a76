// Package python is what every adapter written in Python shares: its
// description, which validate and plan read in place of running it, its
// environment, and how its steps are started. Packages external, timm,
// ultralytics and transformers build on it.
package python

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// Format is the version of the description's shape that this program reads.
const Format = 1

// Description is what `python -m platform_sdk.describe` prints of an adapter.
type Description struct {
	Format      int              `json:"format"`
	SDKVersion  string           `json:"sdk_version"`
	Name        string           `json:"name"` // the framework's
	Description string           `json:"description"`
	License     string           `json:"license"`
	Version     string           `json:"version"`
	Numerics    int              `json:"numerics"`
	Formats     []string         `json:"formats"`
	Devices     []string         `json:"devices"`
	Kinds       []string         `json:"kinds"`
	Key         string           `json:"key"` // of the source that it was made from
	Models      []adapters.Model `json:"models"`
	Tasks       map[string]Task  `json:"tasks"`
}

// Task is what an adapter offers for one task type.
type Task struct {
	Schema  schema.Schema  `json:"schema"`
	Presets schema.Presets `json:"presets"`
}

// ParseDescription reads a description and checks all of it: what it says is
// trusted by everything that plans.
func ParseDescription(text []byte) (*Description, error) {
	d := &Description{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("it is no adapter description: %w", err)
	}
	if d.Format != Format {
		return nil, fmt.Errorf("it has format %d, this program reads %d", d.Format, Format)
	}
	if len(d.Tasks) == 0 || len(d.Models) == 0 {
		return nil, errors.New("it lists no tasks or no models")
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.Tasks)) {
		task := d.Tasks[name]
		task.Schema.Fields = slices.Clone(task.Schema.Fields)
		if err := task.normalize(); err != nil {
			errs = append(errs, fmt.Errorf("task %s: %w", name, err))
		}
		d.Tasks[name] = task
	}
	if d.Numerics < 1 {
		d.Numerics = 1
	}
	if len(d.Devices) == 0 {
		d.Devices = []string{"cpu", "cuda"}
	}
	return d, errors.Join(errs...)
}

// normalize gives values the Go types that the schema's own checks give them:
// JSON knows only one kind of number.
func (t *Task) normalize() error {
	for i, f := range t.Schema.Fields {
		if v, err := f.Check(f.Default); err == nil { // Validate tells the others
			t.Schema.Fields[i].Default = v
		}
	}
	if err := t.Schema.Validate(); err != nil {
		return err
	}
	for i, f := range t.Schema.Fields {
		if f.Condition == nil {
			continue
		}
		control, _ := t.Schema.Field(f.Condition.Field)
		c := *f.Condition
		if list, ok := c.Value.([]any); ok {
			list = slices.Clone(list)
			for j := range list {
				list[j], _ = control.Check(list[j]) // valid: Validate has checked it
			}
			c.Value = list
		} else {
			c.Value, _ = control.Check(c.Value)
		}
		t.Schema.Fields[i].Condition = &c
	}
	if err := t.Presets.Validate(t.Schema); err != nil {
		return err
	}
	for _, preset := range t.Presets {
		for name, v := range preset {
			f, _ := t.Schema.Field(name)
			preset[name], _ = f.Check(v)
		}
	}
	return nil
}
