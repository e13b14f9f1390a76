package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
	"github.com/trainwright/trainwright/pipelines"
)

// runTrain trains and leaves the best epoch's model.onnx among the artifacts.
func runTrain(ctx context.Context, task pipelines.Task, emit emitFunc) (pipelines.StepResult, error) {
	cfg, err := trainConfig(task)
	if err != nil {
		return pipelines.StepResult{}, err
	}
	if err := checkStart(task); err != nil {
		return pipelines.StepResult{}, err
	}
	var pretrained string
	if cfg.Model.Weights, pretrained, err = weightsFile(ctx, task, emit); err != nil {
		return pipelines.StepResult{}, err
	}
	r := reporter{task: task, classes: cfg.Model.Classes, pretrained: pretrained, emit: emit}
	result, err := train.Run(ctx, cfg, r.observe)
	out := pipelines.StepResult{
		Metrics: result.Metrics, LastMetrics: result.LastMetrics, StoppedBy: result.StoppedBy,
		Best: r.checkpoint("best", result.Best), Latest: r.checkpoint("latest", result.Latest),
	}
	if len(result.PerClass) > 0 {
		out.PerClass = perClass(result.PerClass, cfg.Model.Classes)
	}
	if err != nil {
		return out, err
	}
	model, err := publishModel(task, result)
	if err != nil {
		return out, err
	}
	if model != nil {
		out.Artifacts = append(out.Artifacts, *model)
	}
	return out, nil
}

// checkStart makes sure that the start checkpoint is the one that was planned.
func checkStart(task pipelines.Task) error {
	if task.Train.Start == nil {
		return nil
	}
	if err := verify(task.Train.Start.Checkpoint); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// weightsFile returns the file to start from: the model's weights, those of a
// checkpoint, or pretrained ones from the model hub with their hash; "" = none.
func weightsFile(ctx context.Context, task pipelines.Task, emit emitFunc) (path, sum string, err error) {
	m := task.Model
	switch {
	case m.Weights != nil && m.Weights.Checkpoint != nil:
		return weightsIn(m.Weights.Checkpoint.Path), "", nil
	case m.Weights != nil && m.Weights.Path != "":
		return weightsIn(m.Weights.Path), "", nil
	case !m.Pretrained:
		return "", "", nil
	}
	info, err := zoo.Lookup(m.Name)
	if err != nil {
		return "", "", configError{err}
	}
	if info.Hub == "" {
		return "", "", configError{fmt.Errorf("model %s has no pretrained weights; give a file with weights = PATH", m.Name)}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("pretrained weights: %w", err)
	}
	hub := weights.HubFromEnv(os.Getenv, filepath.Join(cache, "trainwright"))
	path, sum, err = hub.Fetch(ctx, weights.HubFile{Repo: info.Hub}, m.PretrainedSHA256)
	if err != nil {
		return "", "", err
	}
	return path, sum, message(emit, "info", "pretrained weights of %s: sha256 %s", info.Hub, sum)
}

// weightsIn returns the weights of a checkpoint folder, or the file itself.
func weightsIn(path string) string {
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		return filepath.Join(path, train.WeightsFile)
	}
	return path
}

// publishModel copies the best model.onnx to the run's artifacts, where
// retention does not reach it.
func publishModel(task pipelines.Task, result train.Result) (*pipelines.Artifact, error) {
	if result.Model == "" {
		return nil, nil
	}
	return writeModel(result.Best.Path, filepath.Join(task.RunDir, "artifacts"))
}

func message(emit emitFunc, level, format string, args ...any) error {
	return emit(pipelines.Event{Message: &pipelines.Message{Level: level, Text: fmt.Sprintf(format, args...)}})
}

// errUnknownEvent says that the engine told something that has no event.
var errUnknownEvent = errors.New("the engine reported an event of an unknown type")
