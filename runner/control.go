package runner

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

// RunState is what is true of a run now, which the store alone cannot know.
type RunState string

const (
	RunLive        RunState = "live"        // an attempt's process is alive
	RunInterrupted RunState = "interrupted" // not ended, and nothing works on it: `resume` or `apply` continue it
	RunUnknown     RunState = "unknown"     // its executor cannot tell
	RunEnded       RunState = "ended"
)

// State looks at a run's processes.
func (a *Applier) State(ctx context.Context, run pipelines.Run) (RunState, error) {
	return RunUnknown, pipelines.Errorf(pipelines.CodeUnavailable, "not available")
}

// Cancel stops a live run: its step writes a checkpoint and ends. It returns
// once the run has ended; a run that has ended already is an error of code conflict.
func (a *Applier) Cancel(ctx context.Context, run pipelines.Run) error {
	return pipelines.Errorf(pipelines.CodeUnavailable, "not available")
}
