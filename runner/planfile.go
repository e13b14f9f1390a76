package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
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
	Plan      Plan               `json:"plan"`
}

// SavePlan writes a plan file of mode 0600, atomically.
func SavePlan(path string, plan *Plan) error {
	if plan.source == nil || plan.refused {
		return pipelines.Errorf(pipelines.CodeInvalid, "a plan that cannot be applied is not saved")
	}
	f := PlanFile{Version: PlanFileVersion, Created: plan.Created, Dir: plan.source.Dir, Sources: plan.source.Sources,
		Variables: map[string]any{}, Plan: *plan}
	for name, v := range plan.source.Variables {
		if v.Sensitive {
			f.Sensitive = append(f.Sensitive, name)
		} else {
			f.Variables[name] = v.Value
		}
	}
	b, err := json.Marshal(f)
	if err == nil {
		err = durable.WriteFile(path, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	return nil
}

// LoadPlanFile reads a plan file.
func LoadPlanFile(path string) (PlanFile, error) {
	var f PlanFile
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, pipelines.Errorf(pipelines.CodeNotFound, "there is no plan file %s: %w", path, err)
	case err != nil:
		return f, pipelines.Errorf(pipelines.CodeInvalid, "%s is not a plan file (make one with: runner plan --out=FILE): %w", path, err)
	case f.Version != PlanFileVersion:
		return f, pipelines.Errorf(pipelines.CodeInvalid, "%s is a plan file of version %d and this runner reads version %d; plan again", path, f.Version, PlanFileVersion)
	}
	return f, nil
}

// Restore makes the plan of a file ready to be applied. pipe is the pipeline
// that the language made of file.Sources with file.Variables and the
// sensitive variables given again. A plan that no longer fits (state serial,
// fingerprints of data that existed, lock file) is an error of code stale
// that says what differs.
func (p *Planner) Restore(ctx context.Context, file PlanFile, pipe *pipelines.Pipeline) (*Plan, error) {
	serial, err := p.Store.Serial(ctx, pipe.Name)
	if err != nil {
		return nil, err
	}
	if serial != file.Plan.Serial {
		return nil, stale(fmt.Sprintf("the state of pipeline %q changed (serial %d, planned at %d)", pipe.Name, serial, file.Plan.Serial))
	}
	plan, err := p.Plan(ctx, pipe, PlanOptions{Targets: file.Plan.Targets, Replace: file.Plan.Replace})
	if plan == nil {
		return nil, err
	}
	if why := differences(&file.Plan, plan); len(why) > 0 {
		return nil, stale(why...)
	}
	return plan, err
}

func stale(why ...string) error {
	return pipelines.Errorf(pipelines.CodeStale, "the plan file is stale: %s; plan again", strings.Join(why, "; "))
}

// differences tells what a plan made now has that a saved one has not.
func differences(saved, now *Plan) []string {
	var why []string
	if saved.LockHash != now.LockHash {
		why = append(why, LockFileName+" changed")
	}
	fingerprints := map[string]string{}
	for _, d := range now.Datasets {
		fingerprints[d.Name] = d.Report.Fingerprint
	}
	for _, d := range saved.Datasets {
		if is, ok := fingerprints[d.Name]; !ok {
			why = append(why, fmt.Sprintf("dataset %q can no longer be read", d.Name))
		} else if is != d.Report.Fingerprint {
			why = append(why, fmt.Sprintf("dataset %q changed (fingerprint %s, planned %s)", d.Name, short(is), short(d.Report.Fingerprint)))
		}
	}
	if len(why) > 0 {
		return why // what follows from it need not be told
	}
	for _, s := range saved.Steps {
		is, ok := now.Step(s.Address)
		if !ok || is.Action != s.Action || is.ContentKey != s.ContentKey || !bytes.Equal(is.Inputs, s.Inputs) {
			why = append(why, fmt.Sprintf("%s would now be done differently", s.Address))
		}
	}
	if len(saved.Steps) != len(now.Steps) {
		why = append(why, "the steps are others")
	}
	return why
}
