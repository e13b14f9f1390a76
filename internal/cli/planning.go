package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// planFlags choose what is planned.
type planFlags struct {
	pipelineFlags
	storeFlags
	targets     []string
	replace     []string
	sourceMoved bool
}

func (f *planFlags) register(c *cobra.Command) {
	f.pipelineFlags.register(c)
	f.storeFlags.register(c)
	c.Flags().StringArrayVar(&f.targets, "target", nil, "only the step at `ADDRESS` and what it needs; may be repeated")
	c.Flags().StringArrayVar(&f.replace, "replace", nil, "run the step at `ADDRESS` anew although nothing changed; may be repeated")
	c.Flags().BoolVar(&f.sourceMoved, "source-moved", false, "the pipeline's sources moved: use the state that they made at their old place")
}

// applyFlags choose how a plan is applied.
type applyFlags struct {
	autoApprove bool
	input       bool
	parallelism int
	lockTimeout time.Duration
	grace       time.Duration
	offline     bool
	ui          bool
}

func (f *applyFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&f.autoApprove, "auto-approve", false, "do not ask before applying")
	c.Flags().BoolVar(&f.input, "input", true, "ask for what is missing; --input=false fails instead")
	c.Flags().IntVar(&f.parallelism, "parallelism", 4, "run at most `N` steps at once")
	c.Flags().DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait up to `DURATION` (10s, 5m) for the state lock")
	c.Flags().BoolVar(&f.offline, "offline", false, "download nothing: pretrained weights come from the cache, or it is an error")
	c.Flags().BoolVar(&f.ui, "ui", false, "show the page with the runs: print its address, and open it in a browser if there is one")
	c.Flags().DurationVar(&f.grace, "grace", time.Minute, "give a cancelled step `DURATION` to write its checkpoint")
}

// session is a pipeline with everything that plans and applies it.
type session struct {
	pipeline *pipelines.Pipeline
	applier  *runner.Applier
	store    runner.Store
}

// Close gives the store back.
func (s *session) Close() { _ = s.store.Close() } // everything acknowledged is on disk already

// open prepares planning and applying of p.
func (a *app) open(ctx context.Context, p *pipelines.Pipeline, f planFlags) (*session, error) {
	place, err := a.storePlace(p.Dir, p.Store, f.storeFlags)
	if err != nil {
		return nil, err
	}
	a.log.Debug("opening the state", "path", place.path, "pipeline", p.Name)
	store, err := place.openPatient(ctx, a.log)
	if err != nil {
		return nil, err
	}
	claim, err := claim(ctx, p.Dir, place)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	claim.Moved = f.sourceMoved
	archive, err := a.archive(ctx, p, store, place.dir)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	return &session{pipeline: p, store: store, applier: &runner.Applier{
		Planner: runner.Planner{
			Store: store, Adapters: a.Adapters, Datasets: a.newData(), Executor: executorFactory(executorHost{env: a.Env, bucket: a.podBucket(p)}), GPUs: countGPUs(), HostGPUs: hostGPUs(), Claim: claim, Now: a.Now,
			Archive: archive,
		},
		Dir: place.dir, Version: Version,
	}}, nil
}
