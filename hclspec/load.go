package hclspec

import (
	"context"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// Load reads the pipeline at path (a folder or one file), checks all of it
// and decodes it. All problems found are in the diagnostics; with errors
// among them the pipeline is nil or incomplete. Files serves snippets and is
// never nil. Load touches no data and runs nothing.
func Load(ctx context.Context, path string, opts Options) (*pipelines.Pipeline, Files, hcl.Diagnostics) {
	files := Files{}
	src, diags := readSources(path, opts.Sources)
	if diags.HasErrors() {
		return nil, files, diags
	}
	dir, err := filepath.Abs(src.dir)
	if err != nil {
		return nil, files, append(diags, unreadable(path, err))
	}
	p := &pipelines.Pipeline{Dir: dir}
	for _, s := range src.files {
		if ctx.Err() != nil {
			return nil, files, append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cancelled", Detail: ctx.Err().Error()})
		}
		file, more := parse(s)
		diags = append(diags, more...)
		files[s.Filename] = file
	}
	return p, files, diags
}
