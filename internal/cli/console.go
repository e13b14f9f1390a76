package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newConsoleCmd(a *app) *cobra.Command {
	var flags pipelineFlags
	var store storeFlags
	c := describe(&cobra.Command{
		Use:   "console [PATH]",
		Short: "Evaluate expressions of a pipeline",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.loadForUse(c.Context(), a.pipelinePath(args), flags)
			if err != nil {
				return err
			}
			results, err := a.knownResults(c.Context(), p, store)
			if err != nil {
				return err
			}
			return a.console(c.Context(), p, results, flags)
		},
	}, `
Reads expressions, one a line (var.epochs, train.base.metrics.accuracy,
[for c in local.classes : upper(c)]), and writes their values. Results of steps
are those of their last completed runs. End it with "exit" or Ctrl-D.`)
	flags.register(c)
	store.register(c)
	return c
}

// knownResults are the results of the last completed run of each step; none
// where nothing was applied yet.
func (a *app) knownResults(ctx context.Context, p *pipelines.Pipeline, f storeFlags) (pipelines.Results, error) {
	place, err := a.storePlace(p.Dir, p.Store, f)
	if err != nil {
		return nil, err
	}
	if !place.exists() {
		return pipelines.Results{}, nil
	}
	store, err := place.open(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return lastResults(ctx, store, p)
}

// lastResults reads the results of the last completed run of each step.
func lastResults(ctx context.Context, store runner.Store, p *pipelines.Pipeline) (pipelines.Results, error) {
	results := pipelines.Results{}
	for _, step := range p.Steps {
		runs, err := store.Runs(ctx, runner.RunFilter{Pipeline: p.Name, Address: step.Address, Status: pipelines.StatusCompleted, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(runs) == 1 && runs[0].Result != nil {
			results[step.Address] = *runs[0].Result
		}
	}
	return results, nil
}

func (a *app) console(ctx context.Context, p *pipelines.Pipeline, results pipelines.Results, flags pipelineFlags) error {
	asks := isTerminal(a.Stdin) && !a.json
	failed := false
	in := bufio.NewScanner(a.Stdin)
	in.Buffer(nil, 1<<20)
	for {
		if asks {
			fmt.Fprint(a.Stdout, "> ")
		}
		if !in.Scan() || ctx.Err() != nil {
			break
		}
		line := strings.TrimSpace(in.Text())
		if line == "" {
			continue
		}
		if line == "exit" || line == "quit" {
			break
		}
		value, unknown, err := a.evaluate(ctx, p, results, flags, line)
		if err != nil {
			failed = true
			a.reportError(err, exitError)
			continue
		}
		if err := a.show(map[string]any{"expression": line, "value": value, "known_after": unknown}, func(w io.Writer) {
			if len(unknown) > 0 {
				fmt.Fprintln(w, view.After(unknown))
				return
			}
			fmt.Fprintln(w, view.Value(value))
		}); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case in.Err() != nil:
		return fmt.Errorf("reading expressions: %w", in.Err())
	case failed && !asks:
		return exitStatus(exitError)
	}
	return nil
}

// consoleOutput is the name of the output that stands for the expression.
const consoleOutput = "console"

// evaluate loads the pipeline once more with the expression as an output
// beside its files, so that it means exactly what it would mean in a file.
func (a *app) evaluate(ctx context.Context, p *pipelines.Pipeline, results pipelines.Results, flags pipelineFlags, expr string) (any, []pipelines.Address, error) {
	name := consoleOutput
	for taken(p, name) {
		name += "_"
	}
	opts := a.options(flags)
	opts.Sources = append(append([]pipelines.Source{}, p.Sources...), pipelines.Source{
		Filename: "console.hcl", Text: fmt.Appendf(nil, "output %q {\n  value = %s\n}\n", name, expr),
	})
	loaded, _, err := a.load(ctx, p.Dir, opts)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range loaded.Outputs {
		if o.Name == name {
			return o.Evaluate(results)
		}
	}
	return nil, nil, usagef("%q is no expression", expr)
}

func taken(p *pipelines.Pipeline, name string) bool {
	for _, o := range p.Outputs {
		if o.Name == name {
			return true
		}
	}
	return false
}
