package cli

import (
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// newStepCmd is the process of one attempt of a step that this binary runs
// itself. Executors start it; people do not.
func newStepCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "step TASK",
		Short:  "Run one attempt, described by its task.json",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			code := spool.RunStep(c.Context(), a.path(args[0]), func(t pipelines.Task) (spool.StepFunc, error) {
				if step, ok := a.Steps[t.Adapter]; ok {
					return spool.StepFunc(step), nil
				}
				return nil, pipelines.Errorf(pipelines.CodeNotFound, "this program has no step for adapter %q; it has: %v",
					t.Adapter, sortedKeys(a.Steps))
			})
			if code != spool.ExitCompleted {
				return exitStatus(code)
			}
			return nil
		},
	}
}
