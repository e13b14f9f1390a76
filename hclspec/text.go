package hclspec

import (
	"io"

	"github.com/hashicorp/hcl/v2"
)

// TextOptions says how diagnostics are printed for people.
type TextOptions struct {
	Width int // columns to wrap details at; 0 = 78
	Color bool
}

// WriteText prints diagnostics with snippets of the source.
func WriteText(w io.Writer, files Files, diags hcl.Diagnostics, opts TextOptions) error {
	width := uint(78)
	if opts.Width > 0 {
		width = uint(opts.Width)
	}
	return hcl.NewDiagnosticTextWriter(w, files, width, opts.Color).WriteDiagnostics(diags)
}
