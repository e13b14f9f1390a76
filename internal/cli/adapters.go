package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/internal/cli/view"
)

func newAdaptersCmd(a *app) *cobra.Command {
	return describe(&cobra.Command{
		Use:   "adapters",
		Short: "List the adapters: ways to train",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
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
Lists the adapters that this program knows, with the tasks, dataset formats and
devices that each takes.`)
}
