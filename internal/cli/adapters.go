package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/internal/cli/view"
)

func newAdaptersCmd(a *app) *cobra.Command {
	c := describe(&cobra.Command{
		Use:   "adapters",
		Short: "List the adapters: ways to train",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.declareAdapters(c.Context())
			infos := make([]adapters.Info, 0, len(a.Adapters))
			for _, ad := range a.Adapters {
				infos = append(infos, ad.Info())
			}
			return a.show(map[string]any{"adapters": infos, "total": len(infos)}, func(w io.Writer) {
				rows := [][]string{{"NAME", "VERSION", "TASKS", "DATASETS", "DEVICES", "LICENSE", "DESCRIPTION"}}
				for _, i := range infos {
					rows = append(rows, []string{i.Name, i.Version, strings.Join(i.Tasks, ","), strings.Join(i.Formats, ","),
						strings.Join(i.Devices, ","), i.License, i.Description})
				}
				view.Table(w, a.style(a.Stdout), "", rows)
			})
		},
	}, `
Lists the adapters that this program knows and those that the pipeline in this
folder declares, with the tasks, dataset formats and devices that each takes.`)
	c.AddCommand(newAdaptersNewCmd(a), newAdaptersDescribeCmd(a), newAdaptersTestCmd(a))
	return c
}

func newAdaptersDescribeCmd(a *app) *cobra.Command {
	var flags pipelineFlags
	var o adapters.PrepareOptions
	c := describe(&cobra.Command{
		Use:   "describe [PATH]",
		Short: "Write what the pipeline's own adapters offer into .runner.schemas",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			written, err := a.describeAdapters(c.Context(), a.pipelinePath(args), flags, o)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"described": written}, func(w io.Writer) {
				if len(written) == 0 {
					fmt.Fprintln(w, "Every description is up to date.")
				}
				for _, name := range written {
					fmt.Fprintf(w, "%s wrote %s; commit it\n", a.style(a.Stdout).Green("✓"), filepath.Join(external.SchemaDir, name+".json"))
				}
			})
		},
	}, `
Runs the Python of each adapter block once, and writes its models, config
fields and presets into .runner.schemas/NAME.json. Commit that file: validate
and plan read it and never run Python. It has to be written again when the
adapter's source or requirements change; validate says so. Where the adapter's
Python environment is not there yet, it is made.`, exitDone, exitError, exitCancelled)
	flags.register(c)
	registerPrepare(c, &o)
	return c
}
