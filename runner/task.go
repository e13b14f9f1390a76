package runner

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// attemptDir is the folder of a run's n-th attempt.
func attemptDir(runDir string, n int) string {
	return filepath.Join(runDir, "attempts", strconv.Itoa(n))
}

// makeTask describes the n-th attempt of a run.
func makeTask(dec *decision, run pipelines.Run, n int) pipelines.Task {
	t := pipelines.Task{
		Version: pipelines.TaskVersion, Pipeline: run.Pipeline, Address: dec.Address,
		RunID: run.ID, JobID: run.JobID, Attempt: n, Kind: dec.Kind, Adapter: dec.Adapter, TaskType: dec.TaskType,
		RunDir: run.Dir, AttemptDir: attemptDir(run.Dir, n),
		Evaluate: dec.spec.Evaluate, Export: dec.spec.Export, Command: dec.spec.Command, Resume: n > 1, GPUs: dec.gpus, Env: dec.spec.Env,
	}
	if m := dec.spec.Model; m != nil {
		model := *m
		model.NumClasses = numClasses(dec.spec, dec.report)
		model.PretrainedSHA256 = strings.TrimPrefix(dec.pretrained, "sha256:")
		t.Model = &model
	}
	if d := dec.spec.Dataset; d != nil && dec.report != nil {
		t.Dataset = &pipelines.TaskDataset{
			Name: d.Name, Format: d.Format, Path: d.Path, Fingerprint: dec.report.Fingerprint,
			Classes: dec.report.Classes, IndexPath: filepath.Join(t.AttemptDir, "dataset.json"),
		}
	}
	if dec.spec.Train != nil {
		t.Train = makeTrain(dec)
		t.Train.Device = concrete(t.Train.Device, dec.Device)
	}
	if t.Evaluate != nil {
		e := *t.Evaluate
		e.Device = concrete(e.Device, dec.Device)
		t.Evaluate = &e
	}
	return t
}

// concrete replaces "auto" by the class of device that the content key counts.
func concrete(device, class string) string {
	if device == "" || device == "auto" {
		return class
	}
	return device
}

func makeTrain(dec *decision) *pipelines.TaskTrain {
	s := dec.spec.Train
	config := s.Config.Active()
	maps.Copy(config, dec.keepOld)
	t := &pipelines.TaskTrain{
		Epochs: s.Epochs, BatchSize: s.BatchSize, LearningRate: s.LearningRate, Seed: s.Seed,
		Device: s.Device, NumWorkers: s.NumWorkers, Monitor: s.Monitor, Mode: s.Mode,
		Config: config, Written: s.Config.Written(), Start: s.Start, Checkpoint: s.Checkpoint,
		Keep: dec.Keep, Reset: dec.Reset,
	}
	if lr, ok := dec.keepOld["learning_rate"]; ok { // the same value in both places
		delete(config, "learning_rate")
		t.LearningRate, _ = number(lr)
		if _, ok := config["optimizer.learning_rate"]; ok {
			config["optimizer.learning_rate"] = t.LearningRate
		}
	}
	if dec.Start != nil { // a planned resume goes on from the last run's checkpoint
		t.Start = &pipelines.Start{Checkpoint: *dec.Start, Mode: pipelines.StartResume}
	}
	return t
}

// continueTask makes a later attempt of a run start, keep and reset what its
// first did: the run's parent may have been forgotten since.
func continueTask(t *pipelines.Task) {
	first, err := spool.ReadTask(filepath.Join(attemptDir(t.RunDir, 1), spool.TaskFile))
	if err != nil || t.Train == nil || first.Train == nil {
		return
	}
	t.Train.Start, t.Train.Keep, t.Train.Reset = first.Train.Start, first.Train.Keep, first.Train.Reset
	for _, name := range first.Train.Keep {
		if v, ok := first.Train.Config[name]; ok {
			t.Train.Config[name] = v
		}
		if name == "optimizer.learning_rate" {
			t.Train.LearningRate = first.Train.LearningRate
		}
	}
}

// writeTask writes what a step reads, task.json last: a folder that has it is
// complete.
func (a *Applier) writeTask(ctx context.Context, dec *decision, task pipelines.Task) (path string, err error) {
	if err := os.MkdirAll(task.AttemptDir, 0o755); err != nil {
		return "", err
	}
	if task.Dataset != nil {
		if err := a.writeIndex(ctx, dec, task); err != nil {
			return "", err
		}
	}
	return spool.WriteTask(task)
}

// writeIndex lists the samples that are trained on, if they are still those planned.
func (a *Applier) writeIndex(ctx context.Context, dec *decision, task pipelines.Task) error {
	index, err := a.Datasets.Index(ctx, *dec.spec.Dataset)
	if err != nil {
		return err
	}
	if index.Fingerprint != task.Dataset.Fingerprint {
		return pipelines.Errorf(pipelines.CodeStale,
			"the files of dataset %q changed since the plan was made (fingerprint %s, planned %s); plan again",
			task.Dataset.Name, short(index.Fingerprint), short(task.Dataset.Fingerprint))
	}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return durable.WriteFile(task.Dataset.IndexPath, b, 0o644)
}
