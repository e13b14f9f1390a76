package rtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Config is what tests need of the program.
type Config struct {
	// Load loads the pipeline with values of variables. Its error is
	// diagnostics where the pipeline is wrong.
	Load func(ctx context.Context, values map[string]any, validate bool) (*pipelines.Pipeline, error)
	// Planner has the adapters and the data there is, once a pipeline is
	// loaded; store and executor are the test's own.
	Planner func() runner.Planner
	// OpenStore opens an empty store in a folder.
	OpenStore func(ctx context.Context, dir string) (runner.Store, error)
}

// Outcome is how a run of a test file ended.
type Outcome struct {
	File     string        `json:"file"`
	Run      string        `json:"run"`
	Passed   bool          `json:"passed"`
	Failures []string      `json:"failures,omitempty"` // what was not as expected
	Took     time.Duration `json:"took_ns"`
	Range    hcl.Range     `json:"-"`
}

// Find lists the test files of a pipeline's folder.
func Find(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+Suffix))
	slices.Sort(files)
	return files, err
}

// File runs one test file. The runs share a state, in order, which is thrown
// away at the end. Diagnostics are of the test file itself.
func File(ctx context.Context, name string, c Config) ([]Outcome, *hcl.File, hcl.Diagnostics, error) {
	f, parsed, diags := parse(name)
	if diags.HasErrors() {
		return nil, parsed, diags, nil
	}
	dir, err := os.MkdirTemp("", "rtest")
	if err != nil {
		return nil, parsed, nil, err
	}
	defer os.RemoveAll(dir)
	store, err := c.OpenStore(ctx, dir)
	if err != nil {
		return nil, parsed, nil, err
	}
	defer store.Close()
	var out []Outcome
	for i := range f.Runs {
		r := &f.Runs[i]
		started := time.Now()
		t := test{file: f, run: r, config: c, store: store, dir: dir}
		err := t.do(ctx)
		var bad hcl.Diagnostics
		if errors.As(err, &bad) && t.ownFault {
			return out, parsed, bad, nil
		}
		if err != nil && ctx.Err() != nil {
			return out, parsed, nil, ctx.Err()
		}
		if err != nil {
			t.failf("%s", err)
		}
		out = append(out, Outcome{File: name, Run: r.Name, Passed: len(t.failures) == 0, Failures: t.failures, Took: time.Since(started), Range: r.at})
	}
	return out, parsed, nil, nil
}

// test is one run at work.
type test struct {
	file     *file
	run      *run
	config   Config
	store    runner.Store
	dir      string
	failures []string
	ownFault bool // an error of the test file, not of the pipeline
}

func (t *test) failf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *test) do(ctx context.Context) error {
	given, diags := values(t.file.Variables, t.run.Variables)
	if diags.HasErrors() {
		t.ownFault = true
		return diags
	}
	plain := map[string]any{}
	for name, v := range given {
		p, err := plainValue(v)
		if err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
		plain[name] = p
	}
	seen, err := t.carryOut(ctx, plain)
	t.expected(err)
	if seen == nil {
		if err == nil && t.run.Command != "validate" {
			t.failf("there is no plan")
		}
		return nil
	}
	for address, want := range t.run.Actions {
		if got, ok := seen.actions[address]; !ok {
			t.failf("actions: the plan has no step %s; it has %s", address, strings.Join(seen.addresses, ", "))
		} else if got != want {
			t.failf("actions: %s is to be %q and the plan says %q", address, want, got)
		}
	}
	return t.asserts(seen)
}

// seen is what a run showed.
type seen struct {
	addresses []string
	actions   map[string]string
	status    map[string]string
	outputs   map[string]any
	checks    map[string]bool
}

func (t *test) carryOut(ctx context.Context, vars map[string]any) (*seen, error) {
	pipe, err := t.config.Load(ctx, vars, t.run.Command == "validate")
	if err != nil {
		return nil, err
	}
	for name := range vars {
		if _, ok := pipe.Variables[name]; !ok {
			t.failf("variables: the pipeline declares no variable %q", name)
		}
	}
	if t.run.Command == "validate" {
		return nil, nil
	}
	// The lock file is read, and what apply writes goes with the state.
	at := filepath.Join(t.dir, "pipeline")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return nil, err
	}
	if text, err := os.ReadFile(filepath.Join(pipe.Dir, runner.LockFileName)); err == nil {
		if err := os.WriteFile(filepath.Join(at, runner.LockFileName), text, 0o644); err != nil {
			return nil, err
		}
	}
	pipe.Dir, pipe.Artifacts = at, nil
	ms := mocks(append(slices.Clone(t.run.Mocks), t.file.Mocks...))
	a := runner.Applier{Planner: t.config.Planner(), Dir: t.dir, Version: "test", RetryDelay: time.Millisecond}
	a.Store, a.Datasets, a.Adapters = t.store, data{a.Datasets, ms}, catalog{a.Adapters}
	a.Executor = func(pipelines.ExecutorConfig) (runner.Executor, error) { return executor{ms}, nil }
	plan, err := a.Plan(ctx, pipe, runner.PlanOptions{Targets: t.run.Targets, Replace: t.run.Replace})
	if plan == nil {
		return nil, err
	}
	out := &seen{actions: map[string]string{}, status: map[string]string{}, outputs: map[string]any{}, checks: map[string]bool{}}
	for _, s := range plan.Steps {
		out.addresses = append(out.addresses, string(s.Address))
		out.actions[string(s.Address)] = string(s.Action)
	}
	for _, o := range plan.Outputs {
		out.outputs[o.Name] = o.Value
	}
	out.judge(plan.Checks)
	if err != nil || t.run.Command == "plan" {
		return out, err
	}
	result, err := a.Apply(ctx, plan, runner.ApplyOptions{})
	for _, s := range result.Steps {
		out.status[string(s.Address)] = string(s.Status)
	}
	for name, o := range result.Outputs {
		out.outputs[name] = o.Value
	}
	out.judge(result.Checks)
	return out, err
}

func (s *seen) judge(checks []runner.PlannedCheck) {
	for _, c := range checks {
		if name, ok := strings.CutPrefix(string(c.Address), "check."); ok && c.State != runner.CheckUnknown {
			s.checks[name] = c.State == runner.CheckPassed
		}
	}
}

// expected compares what went wrong with what was to go wrong.
func (t *test) expected(err error) {
	text := lines(err)
	if len(t.run.Expect) == 0 {
		for _, line := range text {
			t.failf("%s", line)
		}
		return
	}
	if err == nil {
		t.failf("expect_diagnostics: nothing went wrong")
		return
	}
	for _, pattern := range t.run.Expect {
		re := regexp.MustCompile(pattern) // parse has compiled it
		if !slices.ContainsFunc(text, re.MatchString) {
			t.failf("expect_diagnostics: no error matches %q; there are:\n    %s", pattern, strings.Join(text, "\n    "))
		}
	}
}

// lines are the errors of an error, each as "summary: detail".
func lines(err error) []string {
	if err == nil {
		return nil
	}
	var diags hcl.Diagnostics
	if errors.As(err, &diags) {
		var out []string
		for _, d := range diags {
			if d.Severity == hcl.DiagError {
				out = append(out, d.Summary+": "+d.Detail)
			}
		}
		return out
	}
	var problems runner.Problems
	if errors.As(err, &problems) {
		var out []string
		for _, p := range problems.Errors() {
			out = append(out, p.Summary+": "+p.Detail)
		}
		return out
	}
	return strings.Split(err.Error(), "\n")
}

// functions are what conditions may call.
var functions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "min": stdlib.MinFunc, "max": stdlib.MaxFunc, "floor": stdlib.FloorFunc, "length": stdlib.LengthFunc,
	"contains": stdlib.ContainsFunc, "keys": stdlib.KeysFunc, "values": stdlib.ValuesFunc, "lookup": stdlib.LookupFunc,
	"format": stdlib.FormatFunc, "join": stdlib.JoinFunc, "jsonencode": stdlib.JSONEncodeFunc, "regexall": stdlib.RegexAllFunc,
}

// asserts evaluates the conditions over output, action, status and check.
func (t *test) asserts(s *seen) error {
	if len(t.run.Asserts) == 0 {
		return nil
	}
	outputs, err := toCty(s.outputs)
	if err != nil {
		return err
	}
	scope := map[string]cty.Value{"output": outputs}
	for name, m := range map[string]any{"action": s.actions, "status": s.status, "check": s.checks} {
		if scope[name], err = toCty(m); err != nil {
			return err
		}
	}
	for _, a := range t.run.Asserts {
		v, diags := a.Condition.Value(&hcl.EvalContext{Variables: scope, Functions: functions})
		switch {
		case diags.HasErrors() && len(t.failures) > 0:
			// What went wrong before is why there is nothing to look at.
			t.failf("assert on line %d cannot be evaluated: %s", a.Condition.Range().Start.Line, strings.Join(lines(diags), "; "))
		case diags.HasErrors():
			t.ownFault = true
			return diags
		case v.Type() != cty.Bool || !v.IsKnown() || v.IsNull():
			t.failf("assert on line %d is neither true nor false", a.Condition.Range().Start.Line)
		case v.False():
			t.failf("%s (assert on line %d)", a.Message, a.Condition.Range().Start.Line)
		}
	}
	return nil
}
