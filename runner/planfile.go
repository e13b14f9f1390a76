package runner

import (
	"context"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// PlanFileVersion is the version of saved plans.
const PlanFileVersion = 1

// PlanFile is a saved plan: all that is needed to apply it as it was made.
// Sensitive variables are not in it and are given again at apply.
type PlanFile struct {
	Version   int                `json:"v"`
	Created   time.Time          `json:"created"`
	Dir       string             `json:"dir"` // folder of the pipeline
	Sources   []pipelines.Source `json:"sources"`
	Variables map[string]any     `json:"variables,omitempty"` // without sensitive ones
	Sensitive []string           `json:"sensitive,omitempty"` // names that must be given again
	Options   PlanOptions        `json:"options"`
	Plan      Plan               `json:"plan"`
}

// SavePlan writes a plan file of mode 0600, atomically.
func SavePlan(path string, plan *Plan) error {
	return pipelines.Errorf(pipelines.CodeUnavailable, "saving plans is not available")
}

// LoadPlanFile reads a plan file.
func LoadPlanFile(path string) (PlanFile, error) {
	return PlanFile{}, pipelines.Errorf(pipelines.CodeUnavailable, "loading plans is not available")
}

// Restore makes the plan of a file ready to be applied. pipe is the pipeline
// that the language made of file.Sources with file.Variables and the
// sensitive variables given again. A plan that no longer fits (state serial,
// fingerprints of data that existed, lock file) is an error of code stale
// that says what differs.
func (p *Planner) Restore(ctx context.Context, file PlanFile, pipe *pipelines.Pipeline) (*Plan, error) {
	return nil, pipelines.Errorf(pipelines.CodeUnavailable, "restoring plans is not available")
}
