package hclspec_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
)

var expectation = regexp.MustCompile(`# (ERROR|WARNING): ([^|\n]*?)(?: \| (.*))?$`)

// TestInvalidFiles loads testdata/invalid/*.hcl. A comment on the offending
// line holds the summary, and after a bar a piece of the detail:
//
//	epoch = 3 # ERROR: Unsupported argument | Did you mean "epochs"?
//
// A line may hold several, each in its own comment mark. Files whose first
// line is "# plan" are loaded as plan does, others as validate does.
func TestInvalidFiles(t *testing.T) {
	paths, _ := filepath.Glob("testdata/invalid/*.hcl")
	if len(paths) == 0 {
		t.Fatal("no files")
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			opts := validateOptions()
			if bytes.HasPrefix(text, []byte("# plan\n")) {
				opts = planOptions()
			}
			_, files, diags := hclspec.Load(t.Context(), path, opts)
			wanted := expected(text)
			for _, d := range diags {
				line := 0
				if d.Subject != nil {
					line = d.Subject.Start.Line
				}
				i := slices.IndexFunc(wanted, func(w want) bool {
					return w.line == line && w.summary == d.Summary && w.severity == d.Severity && strings.Contains(d.Detail, w.detail)
				})
				if i < 0 {
					var out bytes.Buffer
					hclspec.WriteText(&out, files, hcl.Diagnostics{d}, hclspec.TextOptions{})
					t.Errorf("unexpected:\n%s", out.String())
					continue
				}
				wanted = slices.Delete(wanted, i, i+1)
			}
			for _, w := range wanted {
				t.Errorf("line %d: no diagnostic %q with %q", w.line, w.summary, w.detail)
			}
		})
	}
}

type want struct {
	line            int
	severity        hcl.DiagnosticSeverity
	summary, detail string
}

func expected(text []byte) []want {
	var out []want
	for i, line := range strings.Split(string(text), "\n") {
		parts := strings.Split(line, " # ")
		for _, part := range parts[1:] {
			m := expectation.FindStringSubmatch("# " + part)
			if m == nil {
				continue
			}
			w := want{line: i + 1, severity: hcl.DiagError, summary: strings.TrimSpace(m[2]), detail: strings.TrimSpace(m[3])}
			if m[1] == "WARNING" {
				w.severity = hcl.DiagWarning
			}
			out = append(out, w)
		}
	}
	return out
}

// base is the rest of a pipeline around a train block under test.
func base(rest string) string {
	return fmt.Sprintf(`
pipeline "t" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
%s`, rest)
}
