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
	run, err := findRun(ctx, store, name)
	if err != nil {
		_ = store.Close()
		return nil, place, run, err
	}
	return store, place, run, nil
}

// findRun finds a run by its id, the beginning of its id, its job number, or
// the address of its step (the newest run then).
func findRun(ctx context.Context, store runner.Store, name string) (pipelines.Run, error) {
	if job, err := strconv.ParseInt(name, 10, 64); err == nil {
		if run, err := store.RunByJob(ctx, job); pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return run, err
		}
	}
	run, err := store.Run(ctx, name)
	if pipelines.CodeOf(err) != pipelines.CodeNotFound {
		return run, err
	}
	runs, err := store.Runs(ctx, runner.RunFilter{})
	if err != nil {
		return pipelines.Run{}, err
	}
	var known, found []string
	for _, r := range runs {
		if string(r.Address) == name {
			return r, nil // the newest
		}
		if strings.HasPrefix(r.ID, name) && len(name) >= 4 {
			run = r
			found = append(found, r.ID)
		}
		if !slices.Contains(known, string(r.Address)) {
			known = append(known, string(r.Address))
		}
	}
	switch len(found) {
	case 1:
		return run, nil
	case 0:
		return run, pipelines.Errorf(pipelines.CodeNotFound, "no run has the id, job number or step address %q%s%s", name, didYouMean(name, known), stepsWithRuns(known))
	}
	return run, pipelines.Errorf(pipelines.CodeInvalid, "%q is the beginning of several run ids: %s", name, strings.Join(found, ", "))
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
		Planner: runner.Planner{Store: store, Adapters: a.Adapters, Executor: executorFactory(a.Env), Now: a.Now},
		Dir:     place.dir, Version: Version,
	}
}
