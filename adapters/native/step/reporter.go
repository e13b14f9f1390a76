package step

import (
	"fmt"
	"maps"
	"math"

	"github.com/trainwright/trainwright/engine/metrics"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/pipelines"
)

// reporter turns what the engine tells into events of the protocol.
type reporter struct {
	task    pipelines.Task
	classes []string
	emit    emitFunc
	// pretrained is the hash of weights from the model hub; "" = none.
	pretrained string
}

func (r *reporter) observe(e train.Event) error {
	switch v := e.(type) {
	case train.Applied:
		c := applied(v)
		if r.pretrained != "" {
			env := map[string]string{"pretrained_sha256": r.pretrained}
			maps.Copy(env, c.Environment)
			c.Environment = env
		}
		return r.emit(pipelines.Event{ConfigApplied: c})
	case train.Resumed:
		return r.emit(pipelines.Event{Resumed: &pipelines.Resumed{
			Checkpoint: v.Checkpoint.Path, SHA256: v.Checkpoint.SHA256, Epoch: v.Epoch, GlobalStep: v.GlobalStep, Differences: v.Differences,
		}})
	case train.Progress:
		return r.emit(pipelines.Event{Progress: &pipelines.Progress{
			Epoch: v.Epoch, Epochs: v.Epochs, Step: v.Step, Steps: v.Steps, GlobalStep: v.GlobalStep,
			Loss: v.Loss, ImagesPerSecond: v.ImagesPerSecond, ETASeconds: v.ETASeconds,
		}})
	case train.EpochEnd:
		return r.emit(pipelines.Event{Metrics: &pipelines.Metrics{
			Epoch: v.Epoch, GlobalStep: v.GlobalStep, Split: "train",
			Values: map[string]float64{"loss": v.Loss, "accuracy": v.Accuracy, "learning_rate": v.LearningRate, "images_per_second": v.ImagesPerSecond},
		}})
	case train.Validation:
		return r.validation(v)
	case train.Saved:
		return r.saved(v)
	case train.Message:
		return message(r.emit, v.Level, "%s", v.Text)
	}
	return fmt.Errorf("%w: %T", errUnknownEvent, e)
}

func (r *reporter) validation(v train.Validation) error {
	if err := r.emit(pipelines.Event{Metrics: &pipelines.Metrics{
		Epoch: v.Epoch, GlobalStep: v.GlobalStep, Split: "val", Values: v.Metrics,
	}}); err != nil {
		return err
	}
	e := validationEvent(r.task, v, "val")
	e.CheckpointPath = v.Checkpoint
	return r.emit(pipelines.Event{Validation: e})
}

func (r *reporter) saved(v train.Saved) error {
	if err := r.emit(pipelines.Event{Checkpoint: r.checkpoint(v.Checkpoint.Name, v.Checkpoint)}); err != nil || !v.Best {
		return err
	}
	return r.emit(pipelines.Event{Checkpoint: r.checkpoint("best", v.Checkpoint)})
}

// checkpoint describes a checkpoint under a name; nil when there is none.
func (r *reporter) checkpoint(name string, c checkpoint.Info) *pipelines.Checkpoint {
	if c.Path == "" {
		return nil
	}
	return &pipelines.Checkpoint{RunID: r.task.RunID, Name: name, Path: c.Path, SHA256: c.SHA256, Size: c.Size(),
		Epoch: c.Epoch, GlobalStep: c.GlobalStep, Metrics: c.Metrics}
}

// validationEvent tells a report of a split.
func validationEvent(task pipelines.Task, v train.Validation, split string) *pipelines.Validation {
	primary := "accuracy"
	if task.Train != nil && task.Train.Monitor != "" {
		primary = task.Train.Monitor
	}
	e := &pipelines.Validation{
		Epoch: v.Epoch, GlobalStep: v.GlobalStep, TaskType: task.TaskType, Split: split,
		PrimaryName: primary, PrimaryValue: v.Metrics[primary], Loss: v.Report.Loss, Metrics: v.Metrics,
		PerClass: perClass(v.Report.PerClass, v.Classes), Classes: v.Classes, PRCurves: prCurves(v.Curves, v.Classes),
	}
	for _, row := range v.Report.Confusion {
		counts := make([]int64, len(row))
		for i, n := range row {
			counts[i] = int64(n)
		}
		e.ConfusionMatrix = append(e.ConfusionMatrix, counts)
	}
	for _, p := range v.Samples {
		e.Samples = append(e.Samples, pipelines.SamplePrediction{Path: p.Path, Label: p.Label, Prediction: p.Class, Confidence: p.Confidence, Loss: p.Loss})
	}
	return e
}

// prCurves names the curve of each class that the split has.
func prCurves(list []metrics.Curve, classes []string) map[string]pipelines.PRCurve {
	out := make(map[string]pipelines.PRCurve, len(list))
	for i, c := range list {
		if i >= len(classes) || len(c.Points) == 0 {
			continue
		}
		curve := pipelines.PRCurve{AP: pipelines.Float(c.AP)}
		for _, p := range c.Points {
			curve.Thresholds = append(curve.Thresholds, brief(p.Threshold))
			curve.Precision = append(curve.Precision, brief(p.Precision))
			curve.Recall = append(curve.Recall, brief(p.Recall))
		}
		out[classes[i]] = curve
	}
	return out
}

// brief keeps of a fraction what a plot shows.
func brief(f float64) pipelines.Float { return pipelines.Float(math.Round(f*1e4) / 1e4) }

// perClass names the metrics of each class.
func perClass(list []metrics.Class, classes []string) map[string]map[string]float64 {
	out := make(map[string]map[string]float64, len(list))
	for i, c := range list {
		if i < len(classes) {
			out[classes[i]] = map[string]float64{"precision": c.Precision, "recall": c.Recall, "f1": c.F1, "support": float64(c.Support)}
		}
	}
	return out
}
