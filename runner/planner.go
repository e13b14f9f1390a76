package runner

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Planner compares a pipeline with what is remembered. It changes nothing.
type Planner struct {
	Store    Store
	Adapters Adapters
	Datasets Datasets
	// Executor returns the executor of a block; the zero config means local.
	// A type that cannot be used is an error of code unavailable.
	Executor func(pipelines.ExecutorConfig) (Executor, error)
	// Archive keeps what runs leave for other machines; nil = nobody does.
	Archive *Archive
	// GPUs is how many CUDA devices local training may use; 0 makes
	// device = "auto" mean cpu.
	GPUs int
	// HostGPUs is how many GPUs this machine has, for containers.
	HostGPUs int
	// Claim says for whose sources the state is used.
	Claim Claim
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// PlanOptions are the choices of one plan.
type PlanOptions struct {
	// Targets restrict the plan to these steps and what they need. A target
	// without an instance key means all instances.
	Targets []string
	// Replace are steps to run anew although nothing changed; same form.
	Replace []string
}

func (p *Planner) now() time.Time {
	if p.Now != nil {
		return p.Now().UTC()
	}
	return time.Now().UTC()
}

// Plan decides for every step what apply would do. A dataset gate that stops
// the plan is an error of code check_failed, a refused license or a block
// that this version cannot execute one of code invalid or unavailable;
// the plan is then returned besides the error, for its summaries, and cannot
// be applied. errors.As finds Problems in such errors.
func (p *Planner) Plan(ctx context.Context, pipe *pipelines.Pipeline, opts PlanOptions) (*Plan, error) {
	steps, err := selectSteps(pipe, opts.Targets)
	if err != nil {
		return nil, err
	}
	for _, r := range opts.Replace {
		if !slices.ContainsFunc(steps, func(s pipelines.Step) bool { return selects(r, s.Address) }) {
			return nil, noStep(pipe, r)
		}
	}
	if _, err := p.claimed(ctx, pipe.Name); err != nil {
		return nil, err
	}
	plan := &Plan{Version: PlanVersion, Pipeline: pipe.Name, Created: p.now(), Targets: opts.Targets, Replace: opts.Replace, source: pipe, steps: steps}
	if plan.Serial, err = p.Store.Serial(ctx, pipe.Name); err != nil {
		return nil, err
	}
	if plan.lock, plan.LockHash, err = ReadLockFile(pipe.Dir); err != nil {
		return nil, err
	}
	plan.decider = &decider{
		p: p, pipe: pipe, replace: opts.Replace, anew: map[pipelines.Address]bool{},
		lock: plan.lock, inspector: &inspector{datasets: p.Datasets}, hasher: &hasher{dir: pipe.Dir},
	}
	if plan.Moves, err = p.moves(ctx, pipe, steps); err != nil {
		return nil, err
	}
	decisions, results, err := plan.decider.decideAll(ctx, steps)
	if err != nil {
		return nil, err
	}
	for _, dec := range decisions {
		plan.Steps = append(plan.Steps, dec.PlannedStep)
		plan.Changes = plan.Changes || dec.Action.Changes()
	}
	plan.Datasets = plan.decider.datasets(plan.lock)
	if err := plan.conclude(ctx, pipe, results); err != nil {
		return nil, err
	}
	return plan, plan.judge(decisions)
}

// decideAll decides steps in order, each with the results of those that are
// reused. It begins again when a step is to run that needs files that a
// reused run no longer has: that run is then made anew.
func (d *decider) decideAll(ctx context.Context, steps []pipelines.Step) ([]decision, pipelines.Results, error) {
	d.lookAhead(ctx, steps)
	for {
		results := pipelines.Results{}
		decisions := make([]decision, 0, len(steps))
		gone := map[pipelines.Address]bool{}
		var failed []error
		again := false
		for _, s := range steps {
			dec, err := d.decide(ctx, s, results)
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			if dec.Action == ActionReuse {
				results[s.Address] = *dec.run.Result
				gone[s.Address] = dec.filesGone
			} else {
				for _, n := range s.Needs {
					if gone[n] && !d.anew[n] {
						d.anew[n], again = true, true
					}
				}
			}
			decisions = append(decisions, dec)
		}
		if len(failed) > 0 {
			return nil, nil, errors.Join(failed...)
		}
		if !again {
			return decisions, results, nil
		}
	}
}

// lookAhead inspects all datasets that are known already, at once.
func (d *decider) lookAhead(ctx context.Context, steps []pipelines.Step) {
	var specs []pipelines.Spec
	for _, s := range steps {
		if spec, err := s.Resolve(pipelines.Results{}); err == nil { // decide reports errors
			specs = append(specs, spec)
		}
	}
	d.inspector.inspectAhead(ctx, specs)
}

func (d *decider) datasets(lock LockFile) []PlannedDataset {
	var out []PlannedDataset
	for _, i := range d.inspector.order {
		if i.err == nil {
			out = append(out, PlannedDataset{Name: i.spec.Name, Report: i.report, Previous: lock.Datasets[i.spec.Name], Range: i.spec.Range})
		}
	}
	return out
}

// moves lists the renames that moved blocks ask for and that are still to do.
func (p *Planner) moves(ctx context.Context, pipe *pipelines.Pipeline, steps []pipelines.Step) ([]PlannedMove, error) {
	var out []PlannedMove
	for _, s := range steps {
		for _, from := range moved(pipe, s.Address) {
			at, err := p.Store.Runs(ctx, RunFilter{Pipeline: pipe.Name, Address: s.Address, Limit: 1})
			if err != nil {
				return nil, err
			}
			there, err := p.Store.Runs(ctx, RunFilter{Pipeline: pipe.Name, Address: from, Limit: 1})
			if err != nil {
				return nil, err
			}
			if len(at) > 0 {
				break
			}
			if len(there) > 0 {
				out = append(out, PlannedMove{From: from, To: s.Address})
				break
			}
		}
	}
	return out, nil
}
