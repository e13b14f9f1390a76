package cli

import (
	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// catalog is what the language sees of the adapters.
type catalog struct{ registry adapters.Registry }

var _ hclspec.Catalog = catalog{}

func (c catalog) Adapters() []hclspec.Adapter {
	out := make([]hclspec.Adapter, len(c.registry))
	for i, a := range c.registry {
		info := a.Info()
		out[i] = hclspec.Adapter{Name: info.Name, License: info.License, Tasks: info.Tasks, Formats: info.Formats, Devices: info.Devices, Kinds: info.Kinds}
	}
	return out
}

func (c catalog) Models(adapter, task string) []hclspec.Model {
	a, ok := c.registry.Lookup(adapter)
	if !ok {
		return nil
	}
	var out []hclspec.Model
	for _, m := range a.Models(task) {
		out = append(out, hclspec.Model{Name: m.ModelName, Tasks: m.TaskTypes, ImageSize: m.DefaultImageSize, Pretrained: m.Pretrained, License: m.License})
	}
	return out
}

func (c catalog) Schema(adapter, task string) (schema.Schema, schema.Presets, bool) {
	a, ok := c.registry.Lookup(adapter)
	if !ok {
		return schema.Schema{}, nil, false
	}
	return a.Schema(task)
}
