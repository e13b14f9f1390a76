package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
)

func newForceUnlockCmd(a *app) *cobra.Command {
	var flags planFlags
	var dir string
	c := describe(&cobra.Command{
		Use:   "force-unlock ID",
		Short: "Remove a state lock whose holder is gone",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			p, store, err := a.openOf(ctx, dir, flags.pipelineFlags, flags.storeFlags)
			if err != nil {
				return err
			}
			defer store.Close()
			holder, held, err := store.LockHolder(ctx, p.Name)
			switch {
			case err != nil:
				return err
			case !held:
				return pipelines.Errorf(pipelines.CodeNotFound, "the state of pipeline %q is not locked", p.Name)
			case holder.ID != args[0]:
				return pipelines.Errorf(pipelines.CodeConflict, "the lock of pipeline %q has the id %s, not %s: it was taken by %s",
					p.Name, holder.ID, args[0], holder)
			}
			if err := store.Unlock(ctx, p.Name, holder.ID); err != nil {
				return err
			}
			return a.show(map[string]any{"pipeline": p.Name, "removed": holder}, func(w io.Writer) {
				fmt.Fprintf(w, "The lock of %s on pipeline %q is removed.\n", holder, p.Name)
			})
		},
	}, `
Removes the state lock with that id (the message of a locked apply names it).
Only do so when its holder is gone for good: two applies at once on one state
do each other harm. A holder on this machine that is gone is noticed without it.`)
	flags.pipelineFlags.register(c)
	flags.storeFlags.register(c)
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER` or file")
	return c
}
