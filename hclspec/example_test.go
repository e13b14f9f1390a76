package hclspec_test

import (
	"context"
	"fmt"
	"os"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Load a pipeline, print what is wrong with it, and look at a step before
// and after the step that it waits for has run.
func ExampleLoad() {
	source := `
pipeline "letters" {}
dataset "letters" {
  format = "imagefolder"
  path   = "/data/letters"
}
model "small" {
  name = "convnet"
}
train "base" {
  model   = model.small
  dataset = dataset.letters
  epochs  = 3
}
export "onnx" {
  checkpoint = train.base.best
}
`
	p, files, diags := hclspec.Load(context.Background(), ".", hclspec.Options{
		Catalog: catalog{},
		Environ: os.LookupEnv,
		Sources: []pipelines.Source{{Filename: "main.hcl", Text: []byte(source)}},
	})
	hclspec.WriteText(os.Stdout, files, diags, hclspec.TextOptions{})
	if diags.HasErrors() {
		return
	}
	export := p.Steps[1]
	spec, _ := export.Resolve(nil)
	fmt.Println(export.Address, "waits for", spec.Unknown["export.checkpoint"])
	spec, _ = export.Resolve(pipelines.Results{"train.base": {Best: &pipelines.Checkpoint{Path: "/runs/1/best"}}})
	fmt.Println(spec.Export.Checkpoint.Path)
	// Output:
	// export.onnx waits for [train.base]
	// /runs/1/best
}
