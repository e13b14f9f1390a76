package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/pipelines"
)

// runEvaluate scores a split with the deployed form of a checkpoint.
func runEvaluate(ctx context.Context, task pipelines.Task, emit emitFunc) (pipelines.StepResult, error) {
	spec := task.Evaluate
	splits, classes, err := samples(task, spec.Split)
	if err != nil {
		return pipelines.StepResult{}, err
	}
	list := splits[spec.Split]
	if len(list) == 0 {
		return pipelines.StepResult{}, configError{fmt.Errorf("dataset %q has no images in split %q", task.Dataset.Name, spec.Split)}
	}
	if err := verify(spec.Checkpoint); err != nil {
		return pipelines.StepResult{}, err
	}
	begin, told := time.Now(), time.Time{}
	progress := func(done, total int) error {
		if time.Since(told) < 250*time.Millisecond && done < total {
			return nil
		}
		told = time.Now()
		speed := float64(done) / max(time.Since(begin).Seconds(), 1e-9)
		return emit(pipelines.Event{Progress: &pipelines.Progress{
			Epoch: 1, Epochs: 1, Step: int64(done), Steps: int64(total), ImagesPerSecond: speed, ETASeconds: float64(total-done) / speed,
		}})
	}
	o := train.ModelOptions{BatchSize: spec.BatchSize, Device: spec.Device}
	e, err := train.Evaluate(ctx, spec.Checkpoint.Path, list, classes, o, progress)
	if err != nil {
		return pipelines.StepResult{}, err
	}
	v := train.Validation{Epoch: spec.Checkpoint.Epoch, GlobalStep: spec.Checkpoint.GlobalStep, Report: e.Report, Metrics: e.Metrics,
		Classes: e.Model.Classes, Curves: e.Curves, Samples: e.Samples}
	validation := validationEvent(task, v, spec.Split)
	validation.CheckpointPath = spec.Checkpoint.Path
	for _, event := range []pipelines.Event{
		{Metrics: &pipelines.Metrics{Epoch: v.Epoch, GlobalStep: v.GlobalStep, Split: spec.Split, Values: e.Metrics}},
		{Validation: validation},
	} {
		if err := emit(event); err != nil {
			return pipelines.StepResult{}, err
		}
	}
	return pipelines.StepResult{Metrics: e.Metrics, LastMetrics: e.Metrics, PerClass: perClass(e.Report.PerClass, e.Model.Classes)}, nil
}

// runExport writes the deployed form of a checkpoint as artifacts/model.onnx.
func runExport(task pipelines.Task) (pipelines.StepResult, error) {
	e := task.Export
	if (e.Format != "" && e.Format != "onnx") || (e.Precision != "" && e.Precision != "fp32") {
		return pipelines.StepResult{}, configError{fmt.Errorf("export to %s in %s is not available in this version; use format = \"onnx\", precision = \"fp32\"", e.Format, e.Precision)}
	}
	if err := verify(e.Checkpoint); err != nil {
		return pipelines.StepResult{}, err
	}
	model, err := writeModel(e.Checkpoint.Path, filepath.Join(task.RunDir, "artifacts"))
	if err != nil {
		return pipelines.StepResult{}, err
	}
	return pipelines.StepResult{Artifacts: []pipelines.Artifact{*model}}, nil
}

// verify makes sure that a checkpoint is whole and the one that was planned.
func verify(c pipelines.Checkpoint) error {
	stat, err := os.Stat(c.Path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if !stat.IsDir() {
		return nil
	}
	info, err := checkpoint.Open(c.Path)
	if err != nil {
		return err
	}
	if c.SHA256 != "" && info.SHA256 != strings.TrimPrefix(c.SHA256, "sha256:") {
		return configError{fmt.Errorf("checkpoint %s has changed since it was made; plan again", c.Path)}
	}
	return nil
}

// writeModel exports a checkpoint into a folder.
func writeModel(from, dir string) (*pipelines.Artifact, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, train.ModelFile)
	if _, err := train.Export(from, path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return &pipelines.Artifact{Name: train.ModelFile, Path: path, SHA256: hex.EncodeToString(h.Sum(nil)), Size: n, MediaType: "application/onnx"}, nil
}
