package hclspec

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/trainwright/trainwright/pipelines"
)

// Format returns src in canonical layout: formatting its result changes
// nothing. Text that is no HCL is refused with diagnostics and returned as it is.
func Format(src []byte, filename string) ([]byte, hcl.Diagnostics) {
	_, diags := parse(pipelines.Source{Filename: filename, Text: src})
	if diags.HasErrors() {
		return src, diags
	}
	out := layout(src)
	for range 8 { // aligning comments may take a second look
		again := layout(out)
		if bytes.Equal(again, out) {
			break
		}
		out = again
	}
	return out, diags
}

func layout(src []byte) []byte {
	out := hclwrite.Format(src)
	lines := bytes.Split(out, []byte{'\n'})
	if len(lines) > 0 && len(lines[len(lines)-1]) > 0 {
		out = append(bytes.Clone(out), '\n')
	}
	return out
}
