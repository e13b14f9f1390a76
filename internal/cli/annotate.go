package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// annotate writes diagnostics once more as workflow commands, with which
// GitHub Actions marks the lines of the files:
// ::error file=…,line=…,title=…::detail. Elsewhere it writes nothing.
func (a *app) annotate(w io.Writer, diags hcl.Diagnostics) {
	if a.env["GITHUB_ACTIONS"] != "true" {
		return
	}
	for _, d := range diags {
		kind := "error"
		if d.Severity == hcl.DiagWarning {
			kind = "warning"
		}
		properties := []string{"title=" + annotationProperty.Replace(a.redactor.hide(d.Summary))}
		if r := d.Subject; r != nil && r.Filename != "" {
			properties = append([]string{
				"file=" + annotationProperty.Replace(a.repositoryPath(r.Filename)),
				fmt.Sprintf("line=%d,endLine=%d", r.Start.Line, r.End.Line),
			}, properties...)
			if r.Start.Line == r.End.Line { // columns mean nothing across lines
				properties[1] += fmt.Sprintf(",col=%d,endColumn=%d", r.Start.Column, r.End.Column)
			}
		}
		fmt.Fprintf(w, "::%s %s::%s\n", kind, strings.Join(properties, ","), annotationText.Replace(clip(a.redactor.hide(d.Detail))))
	}
}

// What workflow commands ask to be written otherwise.
var (
	annotationText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// repositoryPath is a source file's path from the top of the checkout.
func (a *app) repositoryPath(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if top := a.env["GITHUB_WORKSPACE"]; top != "" {
		if rel, err := filepath.Rel(top, abs); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return nearPath(abs)
}
