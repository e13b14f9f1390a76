package hclspec_test

import (
	"slices"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Whatever function a late value goes through, it is known which step it waits for.
func TestFunctionsKeepWhatAValueWaitsFor(t *testing.T) {
	for _, expr := range []string{
		`abs(train.a.metrics.accuracy)`, `max(train.a.metrics.accuracy, 0.5)`, `min(0, train.a.metrics.accuracy)`,
		`upper(train.a.best.path)`, `format("%s", train.a.best.path)`, `join(",", [train.a.best.path])`,
		`merge({ x = "y" }, { z = train.a.best.path }).z`, `lookup({ x = train.a.best.path }, "x", "")`,
		`length(train.a.per_class)`, `coalesce(train.a.best.path, "none")`, `tostring(train.a.metrics.accuracy)`,
	} {
		p := must(t, `
pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  adapter = "native"
  name    = "convnet"
  task    = "image_classification"
}
train "a" {
  model      = model.m
  dataset    = dataset.d
  epochs     = 1
  batch_size = 8
}
output "o" {
  value = `+expr+`
}
`, hclspec.Options{Catalog: catalog{}})
		value, unknown, err := p.Outputs[0].Evaluate(nil)
		if err != nil || !slices.Equal(unknown, []pipelines.Address{"train.a"}) {
			t.Errorf("%s is %v and waits for %v (%v), want it to wait for train.a", expr, value, unknown, err)
		}
	}
}
