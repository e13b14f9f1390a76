// Package rtest runs the tests of a pipeline: *.rtest.hcl files beside it,
// whose run blocks plan and apply it with stand-ins for its data and its
// training, so that they take milliseconds and need nothing.
package rtest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// Suffix ends the names of test files.
const Suffix = ".rtest.hcl"

// file is a decoded test file.
type file struct {
	Variables *variables `hcl:"variables,block"`
	Mocks     []mock     `hcl:"mock,block"`
	Runs      []run      `hcl:"run,block"`
}

// variables are values of the pipeline's variables, by name.
type variables struct {
	Body hcl.Body `hcl:",remain"`
}

// mock stands in for a dataset or a step.
type mock struct {
	Address string             `hcl:"address,label"`
	Classes []string           `hcl:"classes,optional"` // of a dataset
	Train   *int               `hcl:"train,optional"`   // images of each class
	Val     *int               `hcl:"val,optional"`
	Test    *int               `hcl:"test,optional"`
	Corrupt int                `hcl:"corrupt,optional"` // unreadable files
	Leaks   int                `hcl:"leaks,optional"`   // images that stand in train and val
	Metrics map[string]float64 `hcl:"metrics,optional"` // of a step
	Fail    string             `hcl:"fail,optional"`    // a cause: oom, nan, …
}

// run is one command against the pipeline; the state stays from run to run.
type run struct {
	Name      string            `hcl:"name,label"`
	Command   string            `hcl:"command,optional"` // validate | plan | apply; default plan
	Variables *variables        `hcl:"variables,block"`
	Mocks     []mock            `hcl:"mock,block"` // before the file's
	Targets   []string          `hcl:"targets,optional"`
	Replace   []string          `hcl:"replace,optional"`
	Actions   map[string]string `hcl:"actions,optional"`            // step address -> action of the plan
	Expect    []string          `hcl:"expect_diagnostics,optional"` // patterns; each must match an error
	Asserts   []assert          `hcl:"assert,block"`
	Remain    hcl.Body          `hcl:",remain"`
	at        hcl.Range
}

type assert struct {
	Condition hcl.Expression `hcl:"condition"`
	Message   string         `hcl:"error_message"`
}

// actions are what a run may expect of a step.
var actions = []string{"run", "reuse", "resume", "retrain", "resume_change", "re-evaluate", "re-export", "decided_after"}

// parse reads a test file.
func parse(name string) (*file, *hcl.File, hcl.Diagnostics) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "File cannot be read", Detail: err.Error()}}
	}
	if len(src) > 1<<20 || strings.Count(string(src), "[")+strings.Count(string(src), "(")+strings.Count(string(src), "{") > 20_000 {
		return nil, nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "File is too large", Detail: name + " is no test file: it is larger than 1 MB, or nested beyond reading."}}
	}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, parsed, diags
	}
	var f file
	if diags := gohcl.DecodeBody(parsed.Body, nil, &f); diags.HasErrors() {
		return nil, parsed, diags
	}
	diags = f.check(parsed.Body.(*hclsyntax.Body)) // what ParseConfig returns
	return &f, parsed, diags
}

// check looks at what the decoder cannot.
func (f *file) check(body *hclsyntax.Body) hcl.Diagnostics {
	var diags hcl.Diagnostics
	fail := func(at hcl.Range, summary, format string, args ...any) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at})
	}
	seen := map[string]bool{}
	i := 0
	for _, b := range body.Blocks {
		if b.Type != "run" {
			continue
		}
		r := &f.Runs[i]
		i++
		r.at = b.DefRange()
		if seen[r.Name] {
			fail(r.at, "Duplicate run", "There are two runs %q.", r.Name)
		}
		seen[r.Name] = true
		if r.Command == "" {
			r.Command = "plan"
		}
		if !slices.Contains([]string{"validate", "plan", "apply"}, r.Command) {
			fail(r.at, "Invalid command", "command is %q; there are validate, plan and apply.", r.Command)
		}
		if r.Command == "validate" && len(r.Actions)+len(r.Asserts) > 0 {
			fail(r.at, "Nothing to look at", "validate makes no plan: actions and assert need command = \"plan\" or \"apply\".")
		}
		for address, action := range r.Actions {
			if !slices.Contains(actions, action) {
				fail(r.at, "Invalid action", "%s is to be %q; there are %s.", address, action, strings.Join(actions, ", "))
			}
		}
		for _, pattern := range r.Expect {
			if _, err := regexp.Compile(pattern); err != nil {
				fail(r.at, "Invalid pattern", "%q: %s", pattern, err)
			}
		}
		if attrs, _ := r.Remain.JustAttributes(); len(attrs) > 0 {
			for name, a := range attrs {
				fail(a.NameRange, "Unknown argument", "A run has no argument %q.", name)
			}
		}
	}
	for _, m := range append(slices.Clone(f.Mocks), f.allMocks()...) {
		if m.Fail != "" && !slices.Contains(pipelines.Causes, pipelines.Cause(m.Fail)) {
			fail(hcl.Range{Filename: body.SrcRange.Filename}, "Invalid cause", "mock %q fails with %q; there are %v.", m.Address, m.Fail, pipelines.Causes)
		}
	}
	return diags
}

func (f *file) allMocks() (out []mock) {
	for _, r := range f.Runs {
		out = append(out, r.Mocks...)
	}
	return out
}

// values evaluates the variables of blocks, later ones above earlier.
func values(blocks ...*variables) (map[string]cty.Value, hcl.Diagnostics) {
	out := map[string]cty.Value{}
	for _, b := range blocks {
		if b == nil {
			continue
		}
		attrs, diags := b.Body.JustAttributes()
		if diags.HasErrors() {
			return nil, diags
		}
		for name, a := range attrs {
			v, diags := a.Expr.Value(nil)
			if diags.HasErrors() {
				return nil, diags
			}
			out[name] = v
		}
	}
	return out, nil
}
