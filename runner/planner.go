package runner

import (
	"context"
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
	// GPUs is how many CUDA devices local training may use; 0 makes
	// device = "auto" mean cpu.
	GPUs int
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
	return nil, pipelines.Errorf(pipelines.CodeUnavailable, "planning is not available")
}
