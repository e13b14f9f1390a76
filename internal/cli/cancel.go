package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func newCancelCmd(a *app) *cobra.Command {
	var flags storeFlags
	var dir string
	var grace time.Duration
	var server serverFlags
	c := describe(&cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run after it wrote a checkpoint",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			if server.server != "" {
				return a.cancelOnServer(ctx, server, args[0])
			}
			store, place, run, err := a.openRun(ctx, dir, args[0], flags)
			if err != nil {
				return err
			}
			defer store.Close()
			watch := a.watcher(store, place)
			watch.Grace = grace
			if err := watch.Cancel(ctx, run); err != nil {
				return err
			}
			if run, err = store.Run(ctx, run.ID); err != nil {
				return err
			}
			return a.show(run, func(w io.Writer) {
				fmt.Fprintf(w, "%s (run %s) is %s. Go on with: runner resume %s\n", run.Address, run.ID, run.Status, run.Address)
			})
		},
	}, `
Asks a live run to write a checkpoint and stop, and kills it after the grace
time. RUN is a run's id, its job number, or a step's address. resume and apply
go on from the checkpoint.`)
	flags.register(c)
	server.register(c, "stop a run or apply of")
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER`")
	c.Flags().DurationVar(&grace, "grace", time.Minute, "give the step `DURATION` to write its checkpoint")
	return c
}
