package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/internal/rtest"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

func newTestCmd(a *app) *cobra.Command {
	var filter string
	c := describe(&cobra.Command{
		Use:   "test [PATH]",
		Short: "Run a pipeline's tests, with stand-ins for data and training",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.test(c.Context(), a.pipelinePath(args), filter)
		},
	}, `
Runs the *.rtest.hcl files beside a pipeline. Their run blocks validate, plan or
apply it with other variables and say what is expected: actions of steps,
diagnostics, and conditions on outputs and checks. Nothing is trained: steps end
at once with the metrics that mock blocks give them, and mocked datasets need no
files. The state of a test file is its own and is thrown away.
hclspec/spec.md describes the blocks. It exits with 4 when a run does not end as
expected.`, exitDone, exitError, exitFailed, exitCancelled)
	a.junit.register(c, "how the runs ended")
	c.Flags().StringVar(&filter, "filter", "", "only the test file `NAME`")
	return c
}

func (a *app) test(ctx context.Context, path, filter string) error {
	dir := path
	if info, err := os.Stat(path); err != nil {
		return usagef("%w", err)
	} else if !info.IsDir() {
		dir = filepath.Dir(path)
	}
	files, err := rtest.Find(dir)
	if err != nil {
		return err
	}
	config := rtest.Config{
		Load: func(ctx context.Context, values map[string]any, validate bool) (*pipelines.Pipeline, error) {
			opts := a.options(pipelineFlags{})
			opts.Values, opts.Validate = values, validate
			p, _, err := a.load(ctx, path, opts)
			return p, err
		},
		Planner: func() runner.Planner {
			return runner.Planner{Adapters: a.Adapters, Datasets: a.newData(), Now: a.Now}
		},
		OpenStore: func(ctx context.Context, dir string) (runner.Store, error) {
			return sqlite.Open(ctx, filepath.Join(dir, "state.db"))
		},
	}
	var all []rtest.Outcome
	for _, name := range files {
		if filter != "" && filepath.Base(name) != filter && filepath.Base(name) != filter+rtest.Suffix {
			continue
		}
		outcomes, parsed, diags, err := rtest.File(ctx, name, config)
		if parsed != nil {
			a.files[name] = parsed
		}
		if diags.HasErrors() {
			return diags
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		all = append(all, outcomes...)
	}
	if len(all) == 0 {
		return pipelines.Errorf(pipelines.CodeNotFound, "%s has no tests: they are files whose names end in %s, with run blocks", nearPath(dir), rtest.Suffix)
	}
	a.junit.tests = all
	failed := 0
	for _, o := range all {
		if !o.Passed {
			failed++
		}
	}
	if err := a.show(all, func(w io.Writer) { a.printOutcomes(w, all, failed) }); err != nil {
		return err
	}
	if failed > 0 {
		return exitStatus(exitFailed)
	}
	return nil
}

func (a *app) printOutcomes(w io.Writer, all []rtest.Outcome, failed int) {
	style := a.style(a.Stdout)
	file := ""
	for _, o := range all {
		if o.File != file {
			file = o.File
			fmt.Fprintln(w, filepath.Base(file))
		}
		mark := style.Green("pass")
		if !o.Passed {
			mark = style.Red("FAIL")
		}
		fmt.Fprintf(w, "  %s  %s (%s)\n", mark, o.Run, o.Took.Round(time.Millisecond))
		for _, f := range o.Failures {
			fmt.Fprintf(w, "        %s:%d: %s\n", filepath.Base(o.File), o.Range.Start.Line, f)
		}
	}
	fmt.Fprintf(w, "%s, %d failed\n", view.Count(len(all), "run"), failed)
}
