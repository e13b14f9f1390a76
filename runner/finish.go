package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// finish evaluates checks and outputs with the results there are, writes the
// lock file, and says how the apply ended.
func (ap *applying) finish(ctx context.Context, cancelled bool) error {
	stepsErr := ap.stepsError(cancelled)
	checks, err := evaluateChecks(ap.plan.source.Checks, ap.results)
	ap.res.Checks = checks
	for i := range checks {
		ap.tell(Notice{Type: NoticeCheck, Address: checks[i].Address, Check: &checks[i]})
	}
	if oerr := ap.outputs(ctx); err == nil {
		err = oerr
	}
	if perr := ap.pin(); perr != nil { // what was trained is no worse for it
		p := warning(pipelines.Range{Filename: LockFileName}, "Lock file not written", "%s", sentence(perr))
		ap.tell(Notice{Type: NoticeWarning, Problem: &p})
	}
	switch {
	case stepsErr != nil:
		return stepsErr
	case err != nil:
		return err
	}
	if err := checkProblems(checks).Err(pipelines.CodeCheckFailed); err != nil {
		return err
	}
	ap.res.Status = pipelines.StatusCompleted
	return nil
}

// stepsError is the error of an apply whose steps did not all complete.
func (ap *applying) stepsError(cancelled bool) error {
	var failed Problems
	stopped, complete, timeouts := false, true, true
	for _, o := range ap.res.Steps {
		complete = complete && o.Status == pipelines.StatusCompleted
		switch o.Status {
		case pipelines.StatusFailed:
			p := problem(o.Range, "Step failed", "%s failed%s: %s", o.Address, causeWords(o.Cause), o.Error)
			p.Address = o.Address
			failed = append(failed, p)
			timeouts = timeouts && o.Cause == pipelines.CauseTimeout
		case pipelines.StatusCancelled:
			stopped = true
		}
	}
	switch {
	case complete: // even if the wish to stop came just then
		return nil
	case cancelled || stopped && len(failed) == 0:
		ap.res.Status = pipelines.StatusCancelled
		return pipelines.Errorf(pipelines.CodeCancelled, "cancelled; apply again to go on from the last checkpoints")
	case len(failed) == 0:
		return nil
	case timeouts:
		return failed.Err(pipelines.CodeTimeout)
	}
	return failed.Err(pipelines.CodeStepFailed)
}

func causeWords(c pipelines.Cause) string {
	if c == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", c)
}

// outputs evaluates outputs and files them. One that still waits for results
// keeps its last value.
func (ap *applying) outputs(ctx context.Context) error {
	declared := ap.plan.source.Outputs
	last, err := ap.a.Store.Outputs(ctx, ap.plan.Pipeline)
	if err != nil {
		return err
	}
	for _, o := range declared {
		value, unknown, err := o.Evaluate(ap.results)
		switch {
		case err != nil:
			return err
		case len(unknown) > 0:
			if v, ok := last[o.Name]; ok {
				ap.res.Outputs[o.Name] = v
			}
		case o.Sensitive:
			ap.res.Outputs[o.Name] = OutputValue{Sensitive: true}
		default:
			ap.res.Outputs[o.Name] = OutputValue{Value: finite(value)}
		}
	}
	if len(ap.res.Outputs) > 0 {
		ap.tell(Notice{Type: NoticeOutputs, Outputs: ap.res.Outputs})
	}
	if len(declared) == 0 && len(last) == 0 {
		return nil
	}
	return ap.a.Store.SetOutputs(ctx, ap.plan.Pipeline, ap.res.Outputs)
}

// pin writes what completed steps used into the lock file.
func (ap *applying) pin() error {
	var used []decision
	for _, d := range ap.decisions {
		used = append(used, *d)
	}
	if len(used) == 0 {
		return nil
	}
	slices.SortFunc(used, func(a, b decision) int { return strings.Compare(string(a.Address), string(b.Address)) })
	dir := ap.plan.source.Dir
	return WriteLockFile(dir, ap.plan.lock.merge(pinsOf(used, dir, ap.plan.decider.hasher)))
}
