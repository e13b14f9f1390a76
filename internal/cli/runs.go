package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// openRun opens the existing store of the pipeline at dir and finds a run in
// it, by what findRun takes. The caller closes the store.
func (a *app) openRun(ctx context.Context, dir, name string, f storeFlags) (runner.Store, storePlace, pipelines.Run, error) {
	store, place, err := a.openExisting(ctx, a.path(dir), f)
	if err != nil {
		return nil, place, pipelines.Run{}, err
	}
	run, err := findRun(ctx, store, name, a.pipelineName(ctx, dir))
	if err != nil {
		_ = store.Close()
		return nil, place, run, err
	}
	return store, place, run, nil
}

// pipelineName is the name of the pipeline at dir; "" where there is none that can be read.
func (a *app) pipelineName(ctx context.Context, dir string) string {
	opts := a.options(pipelineFlags{})
	opts.Validate = true
	p, _, err := a.load(ctx, a.path(dir), opts)
	if err != nil {
		return ""
	}
	return p.Name
}

// findRun finds a run by its id, the beginning of its id, its job number, or
// the address of its step: the newest run of the pipeline then, since a store
// may be shared. Without a pipeline the address must be of one only.
func findRun(ctx context.Context, store runner.Store, name, pipeline string) (pipelines.Run, error) {
	if job, err := strconv.ParseInt(name, 10, 64); err == nil {
		if run, err := store.RunByJob(ctx, job); pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return run, err
		}
	}
	run, err := store.Run(ctx, name)
	if pipelines.CodeOf(err) != pipelines.CodeNotFound {
		return run, err
	}
	run, found, err := runAt(ctx, store, pipelines.Address(name), pipeline)
	if found || err != nil {
		return run, err
	}
	runs, err := store.Runs(ctx, runner.RunFilter{})
	if err != nil {
		return pipelines.Run{}, err
	}
	var known, begun []string
	for _, r := range runs {
		if strings.HasPrefix(r.ID, name) && len(name) >= 4 {
			run = r
			begun = append(begun, r.ID)
		}
		if !slices.Contains(known, string(r.Address)) {
			known = append(known, string(r.Address))
		}
	}
	switch len(begun) {
	case 1:
		return run, nil
	case 0:
		return run, pipelines.Errorf(pipelines.CodeNotFound, "no run has the id, job number or step address %q%s%s", name, didYouMean(name, known), stepsWithRuns(known))
	}
	return run, pipelines.Errorf(pipelines.CodeInvalid, "%q is the beginning of several run ids: %s", name, strings.Join(begun, ", "))
}

// runAt is the newest run of a pipeline's step.
func runAt(ctx context.Context, store runner.Store, address pipelines.Address, pipeline string) (run pipelines.Run, found bool, err error) {
	runs, err := store.Runs(ctx, runner.RunFilter{Address: address})
	if err != nil || len(runs) == 0 {
		return run, false, err
	}
	var of []string
	for _, r := range runs {
		if r.Pipeline == pipeline {
			return r, true, nil
		}
		if !slices.Contains(of, r.Pipeline) {
			of = append(of, r.Pipeline)
		}
	}
	if len(of) == 1 && pipeline == "" {
		return runs[0], true, nil
	}
	return run, false, pipelines.Errorf(pipelines.CodeInvalid, "%s has runs of other pipelines here (%s); name the run by its id or job number, the newest is %s",
		address, strings.Join(of, ", "), runs[0].ID)
}

func stepsWithRuns(known []string) string {
	if len(known) == 0 {
		return "; nothing was run yet"
	}
	return fmt.Sprintf("; steps with runs: %s", strings.Join(known[:min(len(known), 20)], ", "))
}

// watcher is an applier for looking at runs and cancelling them; it plans nothing.
func (a *app) watcher(store runner.Store, place storePlace) *runner.Applier {
	return &runner.Applier{
		Planner: runner.Planner{Store: store, Adapters: a.Adapters, Executor: executorFactory(executorHost{env: a.Env}), Now: a.Now},
		Dir:     place.dir, Version: Version,
	}
}
