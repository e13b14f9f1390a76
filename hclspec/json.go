package hclspec

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcled"
)

// Report is the result of validate as JSON. Readers ignore fields that they
// do not know and refuse another major format version.
type Report struct {
	FormatVersion string       `json:"format_version"`
	Valid         bool         `json:"valid"`
	ErrorCount    int          `json:"error_count"`
	WarningCount  int          `json:"warning_count"`
	Diagnostics   []Diagnostic `json:"diagnostics"`
}

// Diagnostic is one diagnostic as JSON.
type Diagnostic struct {
	Severity string     `json:"severity"` // error | warning
	Summary  string     `json:"summary"`
	Detail   string     `json:"detail"`
	Range    *JSONRange `json:"range,omitempty"`
	Snippet  *Snippet   `json:"snippet,omitempty"`
}

// JSONRange is a piece of a file. Line and column count from 1, byte from 0.
type JSONRange struct {
	Filename string  `json:"filename"`
	Start    JSONPos `json:"start"`
	End      JSONPos `json:"end"`
}

// JSONPos is a position in a file.
type JSONPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// Snippet is the source around a diagnostic.
type Snippet struct {
	Context              *string `json:"context"` // `train "baseline"`
	Code                 string  `json:"code"`    // whole lines
	StartLine            int     `json:"start_line"`
	HighlightStartOffset int     `json:"highlight_start_offset"` // bytes into code
	HighlightEndOffset   int     `json:"highlight_end_offset"`
	Values               []Value `json:"values"`
}

// Value is a variable of the expression and what it held.
type Value struct {
	Traversal string `json:"traversal"`
	Statement string `json:"statement"`
}

// NewReport turns diagnostics into their JSON form.
func NewReport(files Files, diags hcl.Diagnostics) Report {
	r := Report{FormatVersion: "1.0", Valid: !diags.HasErrors(), Diagnostics: []Diagnostic{}}
	for _, d := range diags {
		out := Diagnostic{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			out.Severity = "warning"
			r.WarningCount++
		} else {
			r.ErrorCount++
		}
		if d.Subject != nil && d.Subject.Filename != "" {
			out.Range = &JSONRange{Filename: d.Subject.Filename, Start: JSONPos(d.Subject.Start), End: JSONPos(d.Subject.End)}
			if out.Snippet = snippet(files[d.Subject.Filename], *d.Subject); out.Snippet != nil {
				out.Snippet.Values = values(d)
			}
		}
		r.Diagnostics = append(r.Diagnostics, out)
	}
	return r
}

// WriteJSON writes the report of diags as indented JSON.
func WriteJSON(w io.Writer, files Files, diags hcl.Diagnostics) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(NewReport(files, diags))
}

const maxSnippet = 2000 // bytes of code

func snippet(file *hcl.File, r hcl.Range) *Snippet {
	if file == nil || r.Start.Byte > len(file.Bytes) || r.End.Byte > len(file.Bytes) || r.End.Byte < r.Start.Byte {
		return nil
	}
	text := file.Bytes
	from := bytes.LastIndexByte(text[:r.Start.Byte], '\n') + 1
	to := len(text)
	if i := bytes.IndexByte(text[r.End.Byte:], '\n'); i >= 0 {
		to = r.End.Byte + i
	}
	from, to = max(from, r.Start.Byte-maxSnippet), min(to, r.Start.Byte+maxSnippet)
	out := &Snippet{
		Code:                 strings.ToValidUTF8(string(text[from:to]), "?"),
		StartLine:            r.Start.Line,
		HighlightStartOffset: r.Start.Byte - from,
		HighlightEndOffset:   min(r.End.Byte, to) - from,
		Values:               []Value{},
	}
	if context := hcled.ContextString(file, r.Start.Byte); context != "" {
		out.Context = &context
	}
	return out
}
