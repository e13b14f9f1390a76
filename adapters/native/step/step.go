// Package step runs the native adapter's steps inside `runner step`: it turns
// a task into a call of engine/train and reports what happens as events.
//
// The applied config that it reports is read back from what the engine built
// (the compiled step, the schedule, the loader), never from the task.
package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/pipelines"
)

var _ adapters.StepFunc = Run

// emitFunc writes one event to the attempt's spool.
type emitFunc = func(pipelines.Event) error

// Run runs one attempt of a train, evaluate or export task.
func Run(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	result, err := dispatch(ctx, task, emit)
	switch {
	case err == nil:
		result.State = pipelines.StatusCompleted
	case ctx.Err() != nil:
		result.State, result.Error = pipelines.StatusCancelled, err.Error()
	default:
		result.State, result.Cause, result.Error = pipelines.StatusFailed, cause(err), err.Error()
	}
	return emit(pipelines.Event{Result: &result})
}

func dispatch(ctx context.Context, task pipelines.Task, emit emitFunc) (pipelines.StepResult, error) {
	switch {
	case task.Kind == pipelines.KindTrain && task.Train != nil:
		return runTrain(ctx, task, emit)
	case task.Kind == pipelines.KindEvaluate && task.Evaluate != nil:
		return runEvaluate(ctx, task, emit)
	case task.Kind == pipelines.KindExport && task.Export != nil:
		return runExport(task)
	}
	return pipelines.StepResult{}, configError{fmt.Errorf("the native adapter has no step of kind %q", task.Kind)}
}

// configError is a failure that the same task will always have.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// cause classifies a failure for retry blocks.
func cause(err error) pipelines.Cause {
	var fromORT *ort.Error
	var sample *data.SampleError
	var config configError
	var network *url.Error
	switch {
	case errors.Is(err, train.ErrNaN):
		return pipelines.CauseNaN
	case errors.As(err, &fromORT) && fromORT.OutOfMemory():
		return pipelines.CauseOOM
	case errors.As(err, &sample):
		return pipelines.CauseData
	case errors.As(err, &config), errors.Is(err, weights.ErrOffline), errors.Is(err, weights.ErrHash):
		return pipelines.CauseConfig
	case errors.Is(err, checkpoint.ErrNoSpace), errors.Is(err, ort.ErrNotFound), errors.As(err, &network):
		return pipelines.CauseInfrastructure
	}
	return pipelines.CauseUser
}

// samples reads the task's dataset index and returns one split of it.
func samples(task pipelines.Task, splits ...string) (map[string][]data.Sample, []string, error) {
	if task.Dataset == nil {
		return nil, nil, configError{errors.New("the task has no dataset")}
	}
	text, err := os.ReadFile(task.Dataset.IndexPath)
	if err != nil {
		return nil, nil, fmt.Errorf("read the dataset's list of images: %w", err)
	}
	var index pipelines.DatasetIndex
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", task.Dataset.IndexPath, err)
	}
	out := map[string][]data.Sample{}
	for _, split := range splits {
		for _, s := range index.Splits[split] {
			out[split] = append(out[split], data.Sample{Path: s.Path, Label: s.Label})
		}
	}
	return out, index.Classes, nil
}
