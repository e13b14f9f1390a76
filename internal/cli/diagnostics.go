package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// diagnosticJSON is a diagnostic as --json shows it.
type diagnosticJSON struct {
	Severity string       `json:"severity"` // error | warning
	Summary  string       `json:"summary"`
	Detail   string       `json:"detail,omitempty"`
	Range    *rangeJSON   `json:"range,omitempty"`
	Snippet  *snippetJSON `json:"snippet,omitempty"`
}

type rangeJSON struct {
	Filename string  `json:"filename"`
	Start    posJSON `json:"start"`
	End      posJSON `json:"end"`
}

type posJSON struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// snippetJSON is the source line that a diagnostic points at.
type snippetJSON struct {
	Code      string `json:"code"`
	StartLine int    `json:"start_line"`
}

func (a *app) diagnosticsJSON(diags hcl.Diagnostics) []diagnosticJSON {
	out := make([]diagnosticJSON, 0, len(diags))
	for _, d := range diags {
		j := diagnosticJSON{Severity: "error", Summary: a.redactor.hide(d.Summary), Detail: a.redactor.hide(d.Detail)}
		if d.Severity == hcl.DiagWarning {
			j.Severity = "warning"
		}
		if r := d.Subject; r != nil {
			j.Range = &rangeJSON{Filename: r.Filename, Start: posJSON(r.Start), End: posJSON(r.End)}
			if f := a.files[r.Filename]; f != nil {
				lines := strings.Split(string(f.Bytes), "\n")
				if n := r.Start.Line; n >= 1 && n <= len(lines) {
					j.Snippet = &snippetJSON{Code: strings.TrimRight(lines[n-1], "\r"), StartLine: n}
				}
			}
		}
		out = append(out, j)
	}
	return out
}

// printDiagnostics writes diagnostics with source snippets for people.
func (a *app) printDiagnostics(w io.Writer, diags hcl.Diagnostics) {
	var b strings.Builder
	width := a.width(w)
	if width == 0 {
		width = 100
	}
	dw := hcl.NewDiagnosticTextWriter(&b, a.files, uint(width), a.colour(w))
	if err := dw.WriteDiagnostics(diags); err != nil {
		fmt.Fprintf(w, "Error: %s\n", a.redactor.hide(diags.Error()))
		return
	}
	fmt.Fprintln(w, strings.TrimRight(a.redactor.hide(b.String()), "\n"))
}
