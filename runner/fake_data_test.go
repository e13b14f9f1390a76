package runner_test

import (
	"context"
	"sync"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

type fakeDatasets struct {
	mu       sync.Mutex
	report   pipelines.DatasetReport
	inspects int
}

func newFakeDatasets() *fakeDatasets {
	return &fakeDatasets{report: pipelines.DatasetReport{
		Fingerprint: "sha256:d1", Classes: []string{"rose", "tulip"},
		Splits: map[string]int{"train": 22, "val": 6},
		Counts: map[string]map[string]int{"train": {"rose": 10, "tulip": 12}, "val": {"rose": 3, "tulip": 3}},
	}}
}

func (d *fakeDatasets) Localize(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error) {
	return spec, nil
}

func (d *fakeDatasets) Inspect(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetReport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inspects++
	r := d.report
	r.Name, r.Path, r.Format = spec.Name, spec.Path, spec.Format
	return r, nil
}

func (d *fakeDatasets) Index(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pipelines.DatasetIndex{Name: spec.Name, Fingerprint: d.report.Fingerprint, Classes: d.report.Classes}, nil
}

type fakeAdapter struct {
	info   adapters.Info
	schema schema.Schema
}

func newFakeAdapter() *fakeAdapter {
	return &fakeAdapter{
		info: adapters.Info{Name: "fake", Version: "1", Numerics: 1, License: "Apache-2.0", Devices: []string{"cpu", "cuda"}},
		schema: schema.Schema{Fields: []schema.Field{
			{Name: "optimizer.learning_rate", Type: schema.Number, Resume: schema.Apply},
			{Name: "optimizer.weight_decay", Type: schema.Number, Resume: schema.Apply},
			{Name: "label_smoothing", Type: schema.Number, Resume: schema.Keep},
			{Name: "clip", Type: schema.Number, Resume: schema.Reset},
			{Name: "momentum", Type: schema.Number},
			{Name: "T_max", Type: schema.Integer, Resume: schema.Forbid},
		}},
	}
}

func (a *fakeAdapter) Info() adapters.Info { return a.info }
func (a *fakeAdapter) Models(string) []adapters.Model {
	return []adapters.Model{{ModelName: "net", Framework: "fake", License: "AGPL-3.0-only"}}
}
func (a *fakeAdapter) Schema(string) (schema.Schema, schema.Presets, bool) {
	return a.schema, nil, true
}
func (a *fakeAdapter) Command(_ context.Context, path string) (adapters.Command, error) {
	return adapters.Command{Argv: []string{"fake-step", path}}, nil
}
