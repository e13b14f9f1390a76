package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// show writes a command's result: v as JSON where JSON is asked for, text otherwise.
func (a *app) show(v any, text func(w io.Writer)) error {
	if err := a.writeJSON(v); err != nil {
		return err
	}
	if a.json {
		return nil
	}
	var b bytes.Buffer
	text(&b)
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// writeJSON writes v, indented, to the places that take JSON.
func (a *app) writeJSON(v any) error {
	return a.eachJSON(func(e *json.Encoder) error {
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// writeLine writes v as one line of a JSON-lines stream.
func (a *app) writeLine(v any) error {
	return a.eachJSON(func(e *json.Encoder) error { return e.Encode(v) })
}

func (a *app) eachJSON(write func(*json.Encoder) error) error {
	var targets []io.Writer
	if a.json {
		targets = append(targets, a.Stdout)
	}
	if a.json2 != nil {
		targets = append(targets, a.json2)
	}
	for _, w := range targets {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if err := write(e); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
	}
	return nil
}

// errorReport is what --json says of an error.
type errorReport struct {
	Type        string               `json:"type,omitempty"` // "error" within a stream
	Code        string               `json:"code"`
	Message     string               `json:"message"`
	ExitCode    int                  `json:"exit_code"`
	Diagnostics []hclspec.Diagnostic `json:"diagnostics,omitempty"`
}

// reportError tells an error once: JSON where JSON is asked for, and text on stderr unless stdout is JSON.
func (a *app) reportError(err error, code int) {
	report, diags := a.errorReport(err, code)
	var werr error
	if a.streamed {
		report.Type = "error"
		werr = a.writeLine(report)
	} else {
		werr = a.writeJSON(map[string]any{"error": report})
	}
	if werr != nil {
		fmt.Fprintf(a.Stderr, "Error: %s\n", werr)
	}
	if a.json {
		return
	}
	if len(diags) > 0 {
		a.printDiagnostics(a.Stderr, diags)
		return
	}
	message := a.redactor.hide(strings.TrimSpace(err.Error()))
	st := a.style(a.Stderr)
	fmt.Fprintf(a.Stderr, "%s %s\n", st.Bold(st.Red("Error:")), message)
}

// errorReport is what is told of an error, and its diagnostics if it has some.
func (a *app) errorReport(err error, code int) (errorReport, hcl.Diagnostics) {
	diags, isDiags := diagnosticsOf(err)
	var told *reported
	if errors.As(err, &told) && len(told.diagnostics) > 0 {
		diags, isDiags = a.localDiagnostics(told), true
	}
	report := errorReport{
		Code: string(pipelines.CodeOf(err)), Message: a.redactor.hide(err.Error()), ExitCode: code,
	}
	if isDiags {
		if report.Code == string(pipelines.CodeInternal) {
			report.Code = string(pipelines.CodeInvalid)
		}
		report.Message = strings.TrimPrefix(report.Message, "<nil>: ") // where hcl knows no place in the sources
		report.Diagnostics = a.diagnosticsReport(diags).Diagnostics
	}
	return report, diags
}

// usagef is an error of the command line or its surroundings.
func usagef(format string, args ...any) error {
	return pipelines.Errorf(pipelines.CodeInvalid, format, args...)
}
