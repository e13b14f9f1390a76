package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
)

func newValidateCmd(a *app) *cobra.Command {
	var flags pipelineFlags
	c := describe(&cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a pipeline's files",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts := a.options(flags)
			opts.Validate = true
			p, diags, err := a.load(c.Context(), a.pipelinePath(args), opts)
			if err != nil && !diags.HasErrors() {
				return err
			}
			if werr := a.writeJSON(a.diagnosticsReport(diags)); werr != nil {
				return werr
			}
			if !a.json {
				a.printDiagnostics(a.Stderr, diags)
			}
			if err != nil {
				return exitStatus(exitError)
			}
			if a.json {
				return nil
			}
			_, err = io.WriteString(a.Stdout, fmt.Sprintf("%s The pipeline %q is valid: %s.\n",
				a.style(a.Stdout).Green("Success!"), p.Name, view.Count(len(p.Steps), "step")))
			return err
		},
	}, `
Checks a pipeline (a folder, or one file): syntax, blocks, references, types,
and every config field against the adapter's schema. All problems are shown at
once. It touches no data, runs nothing and needs no init.`)
	flags.register(c)
	return c
}
