package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newResumeCmd(a *app) *cobra.Command {
	var flags planFlags
	var how applyFlags
	var dir string
	c := describe(&cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with interrupted, cancelled or failed runs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			if len(args) == 1 {
				store, _, run, err := a.openRun(ctx, dir, args[0], flags.storeFlags)
				if pipelines.CodeOf(err) == pipelines.CodeNotFound { // it may be another machine's
					if err := a.takeArchived(ctx, dir, flags); err != nil {
						return err
					}
					store, _, run, err = a.openRun(ctx, dir, args[0], flags.storeFlags)
				}
				if err != nil {
					return err
				}
				store.Close()
				flags.targets = []string{string(run.Address)}
			}
			s, plan, err := a.makePlan(ctx, a.path(dir), flags)
			if s != nil {
				defer s.Close()
			}
			if err != nil {
				return err
			}
			if !resumes(plan) {
				what := "no run"
				if len(flags.targets) > 0 {
					what = strings.Join(flags.targets, ", ") + " has no run"
				}
				return pipelines.Errorf(pipelines.CodeConflict, "%s that can go on: it completed, or its inputs changed since. runner plan says what apply would do", what)
			}
			return a.apply(ctx, s, plan, how, "resume")
		},
	}, `
Goes on with runs that a crash, a signal, cancel or a failure cut short, from
their last checkpoint, as the next attempt of the same run; then runs what
depends on them. RUN is a run's id, its job number, or a step's address;
without it the whole pipeline goes on. It does not ask. With an artifacts block
it may be the run of a machine that is gone.`,
		exitDone, exitError, exitFailed, exitCheck, exitLocked, exitCancelled, exitTimeout)
	flags.pipelineFlags.register(c)
	flags.storeFlags.register(c)
	how.register(c)
	for _, name := range []string{"auto-approve", "input"} { // taken as by apply, and without effect
		c.Flags().Lookup(name).Hidden = true
	}
	a.junit.register(c, "how its steps and checks ended")
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER` or file")
	return c
}

// takeArchived files in the state what the pipeline's archive has, if it has one.
func (a *app) takeArchived(ctx context.Context, dir string, flags planFlags) error {
	p, err := a.loadForUse(ctx, a.path(dir), flags.pipelineFlags)
	if err != nil || p.Artifacts == nil {
		return err
	}
	s, err := a.open(ctx, p, flags)
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// resumes reports whether a plan continues some run.
func resumes(p *runner.Plan) bool {
	for _, s := range p.Steps {
		if s.Action == runner.ActionResume {
			return true
		}
	}
	return false
}
