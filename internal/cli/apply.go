package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func newApplyCmd(a *app) *cobra.Command {
	var flags planFlags
	var how applyFlags
	var server serverFlags
	var detach bool
	c := describe(&cobra.Command{
		Use:   "apply [PATH|PLANFILE]",
		Short: "Make the plan happen",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if server.server != "" {
				if flags.store != "" || len(args) == 1 && isPlanFile(a.path(args[0])) {
					return usagef("--server takes a pipeline, no plan file, and keeps the state itself")
				}
				return a.applyOnServer(c.Context(), a.pipelinePath(args), flags, how, server, detach)
			}
			if detach {
				return usagef("--detach belongs to --server")
			}
			if len(args) == 1 && isPlanFile(a.path(args[0])) {
				return a.applyPlanFile(c, a.path(args[0]), flags, how)
			}
			s, plan, err := a.makePlan(c.Context(), a.pipelinePath(args), flags)
			if s != nil {
				defer s.Close()
			}
			if err != nil {
				return err
			}
			if how.offline { // before anybody is asked
				if err := a.equip(c.Context(), s.pipeline, plan, true); err != nil {
					return err
				}
			}
			if plan.Changes && !how.autoApprove {
				if err := a.approve(c.Context(), how); err != nil {
					return err
				}
			}
			return a.apply(c.Context(), s, plan, how, "apply")
		},
	}, `
Plans, asks, and runs what the plan says: each step that is new or changed, in
order, those without mutual needs at once. A step that a crash or a signal cut
short goes on from its last checkpoint. With a PLANFILE of plan --out it applies
exactly that plan and never asks.

With --server the pipeline's files, variables, lock file and git commit go to a
runner serve, which queues them; paths are those under its --data-root. This
command follows and ends as a local apply does; a signal stops the apply there,
and --detach comes back at once. --ui shows the runs on a page: that of the
server, or without one a page of this command's own on 127.0.0.1, for reading, as
long as it works (runner serve shows it at any time).`,
		exitDone, exitError, exitFailed, exitCheck, exitStale, exitLocked, exitCancelled, exitTimeout)
	flags.register(c)
	how.register(c)
	a.junit.register(c, "how its steps and checks ended")
	server.register(c, "apply on")
	c.Flags().BoolVar(&detach, "detach", false, "with --server: come back when it is queued")
	return c
}

// isPlanFile tells a saved plan from a pipeline's file or folder.
func isPlanFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && !strings.HasSuffix(path, ".hcl")
}

func (a *app) applyPlanFile(c *cobra.Command, path string, flags planFlags, how applyFlags) error {
	for _, name := range []string{"var-file", "target", "replace"} {
		if c.Flags().Changed(name) {
			return usagef("--%s cannot be given with a plan file: the plan was made already. Make a new plan with it", name)
		}
	}
	ctx := c.Context()
	a.startStream()
	file, err := runner.LoadPlanFile(path)
	if err != nil {
		return err
	}
	opts := a.options(flags.pipelineFlags)
	opts.Sources, opts.Values = file.Sources, file.Variables
	for _, v := range flags.vars {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(file.Sensitive, name) {
			return usagef("--var %s cannot be given with a plan file: only sensitive variables are given again", name)
		}
	}
	p, diags, err := a.load(ctx, file.Dir, opts)
	if err != nil {
		return err
	}
	if !a.json {
		a.printDiagnostics(a.Stderr, diags)
	}
	s, err := a.open(ctx, p, flags)
	if err != nil {
		return err
	}
	defer s.Close()
	plan, err := s.applier.Restore(ctx, file, p)
	if err != nil {
		return err
	}
	return a.apply(ctx, s, plan, how, "apply")
}

// approve asks on the terminal; without one it fails.
func (a *app) approve(ctx context.Context, how applyFlags) error {
	if !how.input || a.json || !isTerminal(a.Stdin) {
		return usagef("this plan has changes and nobody can be asked: approve it with --auto-approve, or save it with plan --out and apply the file")
	}
	fmt.Fprintf(a.Stdout, "\nDo you want to apply this plan? Only \"yes\" is accepted: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n') // an end of input is no yes
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Stdout)
		return ctx.Err()
	case line := <-answer:
		if line != "yes" {
			return pipelines.Errorf(pipelines.CodeCancelled, "not applied")
		}
	}
	return nil
}

// applyView shows an apply while it runs.
type applyView interface {
	runner.Observer
	Close()
	Best() map[pipelines.Address]pipelines.Validation
}

// apply runs a plan, shows it, writes the reports of its trainings.
func (a *app) apply(ctx context.Context, s *session, plan *runner.Plan, how applyFlags, operation string) error {
	s.applier.Grace = how.grace
	if err := a.equip(ctx, s.pipeline, plan, how.offline); err != nil {
		return err
	}
	if how.offline {
		s.applier.Executor = executorFactory(executorHost{env: append(slices.Clone(a.Env), "HF_HUB_OFFLINE=1"), bucket: a.podBucket(s.pipeline)})
	}
	shown := a.newApplyView()
	reports := &reporter{app: a, ctx: context.WithoutCancel(ctx), session: s, plan: plan}
	commit, branch := gitCommit(ctx, s.pipeline.Dir)
	watch := observers{&jsonLines{app: a}, reports, &a.junit, shown}
	if how.ui {
		page, err := a.servePage(ctx, s)
		if err != nil {
			return err
		}
		defer page.stop()
		watch = append(watch, page)
	}
	result, err := s.applier.Apply(ctx, plan, runner.ApplyOptions{
		Parallelism: how.parallelism, LockTimeout: how.lockTimeout, Operation: operation,
		Observer: watch, Commit: commit, Branch: branch,
	})
	shown.Close()
	reports.wait.Wait()
	if a.json || result.ApplyID == "" && err != nil {
		return err
	}
	if perr := a.printText(func(w io.Writer) {
		if err == nil && !plan.Changes {
			view.Outputs(w, a.style(a.Stdout), "", nil)
		}
		view.Result(w, a.style(a.Stdout), result, shown.Best())
		listModels(w, result)
		reports.list(w)
	}); perr != nil {
		return errors.Join(err, perr)
	}
	return err
}

// listModels says where the models are that an apply made.
func listModels(w io.Writer, result runner.ApplyResult) {
	for _, step := range result.Steps {
		if step.Result == nil || step.Status != pipelines.StatusCompleted || step.Action == runner.ActionReuse {
			continue
		}
		if m, ok := step.Result.Artifacts["model.onnx"]; ok {
			fmt.Fprintf(w, "Model: %s\n", nearPath(m.Path))
		}
	}
}

func (a *app) newApplyView() applyView {
	switch {
	case a.json:
		return view.NewPlain(io.Discard, view.Style{})
	case isTerminal(a.Stdout) && a.env["TERM"] != "dumb":
		return view.NewLive(a.Stdout, a.style(a.Stdout), func() int { return a.width(a.Stdout) }, a.Now)
	}
	return view.NewPlain(a.Stdout, a.style(a.Stdout))
}

// observers tells several.
type observers []runner.Observer

func (o observers) Observe(n runner.Notice) {
	for _, each := range o {
		each.Observe(n)
	}
}

// jsonLines writes notices into the JSON stream.
type jsonLines struct{ app *app }

func (j *jsonLines) Observe(n runner.Notice) {
	if n.Event == nil || n.Event.Progress == nil {
		j.app.log.Debug("notice", "type", n.Type, "step", n.Address, "run", n.RunID, "message", n.Message)
	}
	if err := j.app.writeLine(n); err != nil {
		j.app.log.Error("writing JSON", "error", err)
	}
}
