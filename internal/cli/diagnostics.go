package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/runner"
)

// diagnosticsOf finds the diagnostics in an error: the language's own, or the
// planner's problems, which carry places in the sources too.
func diagnosticsOf(err error) (hcl.Diagnostics, bool) {
	var diags hcl.Diagnostics
	if errors.As(err, &diags) {
		return diags, true
	}
	var one *hcl.Diagnostic
	if errors.As(err, &one) {
		return hcl.Diagnostics{one}, true
	}
	var problems runner.Problems
	if errors.As(err, &problems) {
		return problemDiagnostics(problems), true
	}
	return nil, false
}

func problemDiagnostics(problems runner.Problems) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, p := range problems {
		d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: p.Summary, Detail: p.Detail}
		if p.Severity == runner.SeverityWarning {
			d.Severity = hcl.DiagWarning
		}
		if !p.Range.IsZero() {
			d.Subject = hclspec.HCLRange(p.Range).Ptr()
		}
		diags = append(diags, d)
	}
	return diags
}

// diagnosticsReport is the JSON form, with secrets hidden.
func (a *app) diagnosticsReport(diags hcl.Diagnostics) hclspec.Report {
	report := hclspec.NewReport(a.files, diags)
	for i, d := range report.Diagnostics {
		report.Diagnostics[i].Summary = a.redactor.hide(d.Summary)
		report.Diagnostics[i].Detail = a.redactor.hide(d.Detail)
	}
	return report
}

// printDiagnostics writes diagnostics with source snippets for people.
func (a *app) printDiagnostics(w io.Writer, diags hcl.Diagnostics) {
	if len(diags) == 0 {
		return
	}
	var b strings.Builder
	err := hclspec.WriteText(&b, a.files, diags, hclspec.TextOptions{Width: a.width(w), Color: a.colour(w)})
	if err != nil {
		b.WriteString("Error: " + diags.Error())
	}
	_, _ = io.WriteString(w, clip(strings.TrimRight(a.redactor.hide(b.String()), "\n"))+"\n") // nowhere left to tell
	a.annotate(w, diags)
}

// maxLine is how much of a source line or value a message shows, in characters.
const maxLine = 400

// clip shortens overlong lines, as machine-written or hostile sources have them.
func clip(text string) string {
	if len(text) <= maxLine {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if r := []rune(line); len(r) > maxLine {
			end := " …"
			if strings.ContainsRune(line, '\x1b') {
				end = "\x1b[0m …"
			}
			lines[i] = strings.TrimRight(string(r[:maxLine]), " ") + end
		}
	}
	return strings.Join(lines, "\n")
}
