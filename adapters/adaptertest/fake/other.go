package fake

import (
	"context"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

// evaluate reports a checkpoint's own metrics again, for the split asked for.
func (t *trainer) evaluate() error {
	e := t.task.Evaluate
	if err := t.emit(pipelines.Event{ConfigApplied: &pipelines.ConfigApplied{Values: map[string]any{}, Proof: "objects"}}); err != nil {
		return err
	}
	s, c, err := load(e.Checkpoint.Path)
	if err != nil {
		return t.refuse(pipelines.CauseData, "the checkpoint cannot be read: "+err.Error())
	}
	if t.task.Model == nil {
		t.task.Model = &pipelines.ModelSpec{}
	}
	t.state, t.classes, t.salt = s, classes(t.task), hash(encode(s.Weights))
	v := t.validate()
	v.Split, v.CheckpointPath = e.Split, c.Path
	if err := t.emit(pipelines.Event{Validation: &v}); err != nil {
		return err
	}
	return t.end(pipelines.StepResult{State: pipelines.StatusCompleted, Metrics: v.Metrics, LastMetrics: v.Metrics, PerClass: v.PerClass})
}

// export writes the checkpoint's weights as the model.
func (t *trainer) export() error {
	if err := t.emit(pipelines.Event{ConfigApplied: &pipelines.ConfigApplied{Values: map[string]any{}, Proof: "objects"}}); err != nil {
		return err
	}
	_, c, err := load(t.task.Export.Checkpoint.Path)
	if err != nil {
		return t.refuse(pipelines.CauseData, "the checkpoint cannot be read: "+err.Error())
	}
	a, err := t.writeModel(c.Path)
	if err != nil {
		return err
	}
	return t.end(pipelines.StepResult{State: pipelines.StatusCompleted, Metrics: c.Metrics, Artifacts: []pipelines.Artifact{a}})
}

// writeModel makes artifacts/model.onnx; it is the weights, not ONNX.
func (t *trainer) writeModel(checkpoint string) (pipelines.Artifact, error) {
	a := pipelines.Artifact{Name: "model.onnx", MediaType: "application/octet-stream"}
	data, err := os.ReadFile(filepath.Join(checkpoint, weightsFile))
	if err != nil {
		return a, err
	}
	dir := filepath.Join(t.task.RunDir, "artifacts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return a, err
	}
	a.Path, a.SHA256, a.Size = filepath.Join(dir, a.Name), hash(data), int64(len(data))
	return a, durable.WriteFile(a.Path, data, 0o644)
}

// EchoStep reports the config that it was given and trains without it.
func EchoStep(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	if task.Kind != pipelines.KindTrain {
		return Step(ctx, task, emit)
	}
	given := task
	config := task.Train.Config
	blind := *task.Train
	blind.Config, blind.Written, blind.Keep, blind.Reset = map[string]any{}, nil, nil, nil
	blind.LearningRate, blind.Seed, blind.BatchSize = 1e-3, 0, 16
	task.Train = &blind
	return Step(ctx, task, func(e pipelines.Event) error {
		if e.ConfigApplied != nil {
			e.ConfigApplied.Values = config
			e.ConfigApplied.Attributes["batch_size"] = given.Train.BatchSize
			e.ConfigApplied.Attributes["learning_rate"] = given.Train.LearningRate
			e.ConfigApplied.Attributes["seed"] = given.Train.Seed
		}
		return emit(e)
	})
}
