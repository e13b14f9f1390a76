package hclspec

import (
	"fmt"
	"runtime/debug"

	"github.com/hashicorp/hcl/v2"
)

// rescue turns a panic of this package or of a library below it into a
// diagnostic that names the expression at work, so that no source text can
// end the process.
func rescue(diags *hcl.Diagnostics) {
	p := recover()
	if p == nil {
		return
	}
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Internal error in the language",
		Detail: fmt.Sprintf("Evaluating the pipeline failed in a way that should be impossible: %v. Please report this with the file.\n\n%s", p, debug.Stack())}
	if r := current.Load(); r != nil && r.Filename != "" {
		d.Subject = r
	}
	*diags = append(*diags, d)
}

// rescueError is rescue for closures that return an error.
func rescueError(err *error) {
	p := recover()
	if p == nil {
		return
	}
	*err = hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Internal error in the language", Detail: fmt.Sprintf("Evaluation failed in a way that should be impossible: %v.\n\n%s", p, debug.Stack())}}
}
