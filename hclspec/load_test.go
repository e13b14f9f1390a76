package hclspec_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// environment of the tests.
func environ(name string) (string, bool) {
	v, ok := map[string]string{"HOME_TOWN": "Bern", "TOKEN": "hunter2"}[name]
	return v, ok
}

func validateOptions() hclspec.Options {
	return hclspec.Options{Catalog: catalog{}, Environ: environ, Validate: true, Version: "0.1.0"}
}

func planOptions() hclspec.Options {
	o := validateOptions()
	o.Validate = false
	return o
}

// loadText loads one source text.
func loadText(t testing.TB, text string, opts hclspec.Options) (*pipelines.Pipeline, string) {
	t.Helper()
	opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: []byte(text)}}
	p, files, diags := hclspec.Load(context.Background(), t.TempDir(), opts)
	var out bytes.Buffer
	hclspec.WriteText(&out, files, diags, hclspec.TextOptions{})
	if !diags.HasErrors() {
		return p, out.String()
	}
	return nil, out.String()
}

func TestValidFilesLoad(t *testing.T) {
	paths, _ := filepath.Glob("testdata/valid/*.hcl")
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, files, diags := hclspec.Load(t.Context(), path, validateOptions())
			if len(diags) > 0 {
				var out bytes.Buffer
				hclspec.WriteText(&out, files, diags, hclspec.TextOptions{})
				t.Error(out.String())
			}
		})
	}
}
