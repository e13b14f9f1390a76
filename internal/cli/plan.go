package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/runner"
)

func newPlanCmd(a *app) *cobra.Command {
	var flags planFlags
	var out string
	var detailed, offline bool
	c := describe(&cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what apply would do, and why",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, plan, err := a.makePlan(c.Context(), a.pipelinePath(args), flags)
			if s != nil {
				defer s.Close()
			}
			if err != nil {
				return err
			}
			if offline {
				if err := a.equip(c.Context(), s.pipeline, plan, true); err != nil {
					return err
				}
			}
			if out != "" {
				if err := runner.SavePlan(a.path(out), plan); err != nil {
					return err
				}
				if !a.json {
					fmt.Fprintf(a.Stdout, "\nSaved to %s. Apply exactly this with:\n\n    runner apply %s\n", out, out)
				}
			}
			if detailed && plan.Changes {
				return exitStatus(exitChanges)
			}
			return nil
		},
	}, `
Compares the pipeline with what was run before and shows for each step whether
it will run, be reused, resumed or retrained, every changed field with its old
and new value, and why. It changes nothing. Datasets are inspected; their
thresholds stop the plan.`, exitDone, exitError, exitChanges, exitCheck, exitCancelled)
	flags.register(c)
	c.Flags().StringVar(&out, "out", "", "save the plan into `FILE` for apply")
	c.Flags().BoolVar(&offline, "offline", false, "fail if applying it would have to download a Python environment")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when the plan has changes")
	return c
}

// makePlan loads, plans and shows. The session is nil when it could not be opened.
func (a *app) makePlan(ctx context.Context, path string, flags planFlags) (*session, *runner.Plan, error) {
	a.startStream()
	p, err := a.loadForUse(ctx, path, flags.pipelineFlags)
	if err != nil {
		return nil, nil, err
	}
	s, err := a.open(ctx, p, flags)
	if err != nil {
		return nil, nil, err
	}
	plan, err := s.applier.Plan(ctx, p, runner.PlanOptions{Targets: flags.targets, Replace: flags.replace})
	if plan != nil && (err == nil || hasProblems(err)) {
		if serr := a.showPlan(plan, err == nil); serr != nil {
			return s, nil, serr
		}
	}
	return s, plan, err
}

func hasProblems(err error) bool {
	var problems runner.Problems
	return errors.As(err, &problems)
}

// planLine is the line of a plan in the JSON stream.
type planLine struct {
	Type string       `json:"type"` // plan
	Plan *runner.Plan `json:"plan"`
}

// showPlan prints a plan and its warnings; errors of a refused one are the caller's to report.
func (a *app) showPlan(plan *runner.Plan, usable bool) error {
	if err := a.writeLine(planLine{"plan", plan}); err != nil || a.json {
		return err
	}
	var warnings runner.Problems
	for _, p := range plan.Problems {
		if p.Severity == runner.SeverityWarning {
			warnings = append(warnings, p)
		}
	}
	a.printDiagnostics(a.Stderr, problemDiagnostics(warnings))
	if !usable {
		return nil
	}
	return a.printText(func(w io.Writer) { view.Plan(w, a.style(a.Stdout), plan) })
}
