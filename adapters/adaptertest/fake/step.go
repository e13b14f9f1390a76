package fake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// Step runs one attempt of the fake adapter.
func Step(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	t := &trainer{task: task, emit: emit, dir: filepath.Join(task.RunDir, "checkpoints")}
	var err error
	if t.faults, err = loadFaults(task.Attempt); err != nil {
		return err
	}
	switch task.Kind {
	case pipelines.KindTrain:
		return t.train(ctx)
	case pipelines.KindEvaluate:
		return t.evaluate()
	case pipelines.KindExport:
		return t.export()
	}
	return fmt.Errorf("the fake adapter cannot run a step of kind %q", task.Kind)
}

func (t *trainer) train(ctx context.Context) error {
	tr := t.task.Train
	if tr == nil || t.task.Model == nil {
		return t.refuse(pipelines.CauseConfig, "the task has no train part or no model")
	}
	config, err := Schema().CheckValues(tr.Config)
	if err != nil {
		return t.refuse(pipelines.CauseConfig, err.Error())
	}
	no := unsupported(config)
	for name, reason := range no {
		if has(tr.Written, name) {
			return t.refuse(pipelines.CauseConfig, fmt.Sprintf("%s: %s", name, reason))
		}
		delete(config, name)
	}
	t.config = config
	t.classes = classes(t.task)
	samples, err := t.samples()
	if err != nil {
		return t.refuse(pipelines.CauseData, err.Error())
	}
	t.steps = batches(samples, tr.BatchSize)

	from, resumed, err := t.begin()
	if err != nil {
		return err
	}
	if _, ok := t.faults.find("late"); ok {
		if err := t.emit(pipelines.Event{Metrics: &pipelines.Metrics{Split: "train", Values: map[string]float64{"loss": 1}}}); err != nil {
			return err
		}
	}
	if err := t.reportConfig(no); err != nil {
		return err
	}
	if resumed {
		err := t.emit(pipelines.Event{Resumed: &pipelines.Resumed{
			Checkpoint: from.Path, SHA256: from.SHA256, Epoch: t.state.Epoch, GlobalStep: t.state.GlobalStep,
		}})
		if err != nil {
			return err
		}
	}
	if own, err := filepath.EvalSymlinks(t.dir); resumed && err == nil && filepath.Dir(from.Path) == own {
		// The attempt that wrote it may have died before it could tell.
		if err := t.announce(from, t.state.BestPath == from.Name); err != nil {
			return err
		}
	}
	return t.run(ctx)
}

// begin sets the state: that of the newest readable checkpoint of this run,
// of the checkpoint to start from, or a fresh one.
func (t *trainer) begin() (from pipelines.Checkpoint, resumed bool, err error) {
	tr := t.task.Train
	if t.task.Resume {
		s, c, skipped, err := newest(t.dir)
		if err != nil {
			return c, false, err
		}
		for _, bad := range skipped {
			if err := t.warn("a checkpoint is passed over: " + bad.Error()); err != nil {
				return c, false, err
			}
		}
		if s != nil {
			t.state = s
			t.keep(s) // what the run began with; state was dropped then, if it was to be
			t.salt = makeSalt(t.task, t.config)
			return c, true, nil
		}
		if err := t.warn("there is no checkpoint to go on from: training begins anew"); err != nil {
			return c, false, err
		}
	}
	t.salt = makeSalt(t.task, t.config)
	s := &state{Config: t.config, Learning: tr.LearningRate}
	width := 32
	if layers, ok := t.config["layers"].(int64); ok {
		width *= int(layers)
	}
	for i := range width {
		s.Weights = append(s.Weights, t.hash01("init", i))
	}
	s.Momentum = make([]float64, width)
	t.state = s
	if tr.Start == nil {
		return from, false, nil
	}
	old, c, err := load(tr.Start.Checkpoint.Path)
	if err != nil {
		return c, false, fmt.Errorf("start checkpoint: %w", err)
	}
	if tr.Start.Mode != pipelines.StartResume {
		s.Weights, s.Momentum = old.Weights, make([]float64, len(old.Weights))
		return c, false, nil
	}
	t.state = old
	// What was best lies in another run's folder.
	old.Best, old.BestPath = nil, ""
	t.keep(old)
	if len(tr.Reset) > 0 {
		old.Momentum = make([]float64, len(old.Weights))
	}
	t.salt = makeSalt(t.task, t.config)
	return c, true, nil
}

// keep takes the fields that a resume keeps from the checkpoint.
func (t *trainer) keep(s *state) {
	config := maps.Clone(t.config)
	for _, name := range t.task.Train.Keep {
		if v, ok := s.Config[name]; ok {
			f, _ := Schema().Field(name)
			if v, err := f.Check(v); err == nil {
				config[name] = v
			}
		}
	}
	t.config, s.Config = config, config
}

func (t *trainer) reportConfig(no map[string]string) error {
	values := maps.Clone(t.config)
	for _, f := range t.faults.list {
		switch f.Kind {
		case "lie":
			values[f.Arg] = "a lie"
		case "hide":
			delete(values, f.Arg)
		}
	}
	tr, m := t.task.Train, t.task.Model
	device := tr.Device
	if device == "" || device == "auto" {
		device = "cpu"
	}
	return t.emit(pipelines.Event{ConfigApplied: &pipelines.ConfigApplied{
		Values: values, Unsupported: no, Proof: "objects",
		Attributes: map[string]any{
			"epochs": tr.Epochs, "batch_size": tr.BatchSize, "learning_rate": tr.LearningRate, "seed": tr.Seed,
			"image_size": m.ImageSize, "num_classes": len(t.classes), "device": device,
		},
		Environment: map[string]string{"engine": "fake 1"},
	}})
}

// fault does what EnvFault asks for at this step.
func (t *trainer) fault(ctx context.Context) error {
	for _, f := range t.faults.at(t.state.GlobalStep) {
		switch f.Kind {
		case "crash":
			fmt.Fprintln(os.Stderr, "fake: told to crash")
			os.Exit(3)
		case "kill":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case "panic":
			panic("told to panic")
		case "hang":
			<-ctx.Done()
		case "nan":
			return t.end(pipelines.StepResult{State: pipelines.StatusFailed, Cause: pipelines.CauseNaN,
				Error: fmt.Sprintf("the loss is NaN at step %d; lower the learning rate", t.state.GlobalStep)})
		case "fail":
			return t.end(pipelines.StepResult{State: pipelines.StatusFailed, Cause: pipelines.Cause(f.Arg), Error: "told to fail: " + f.Arg})
		case "torn":
			if _, c, _, err := newest(t.dir); err == nil && c.Path != "" {
				_ = os.Truncate(filepath.Join(c.Path, weightsFile), 5)
			}
			os.Exit(3)
		case "silent":
			t.result.State = pipelines.StatusFailed // leave the loop without a word
		case "garbage":
			return appendLine(filepath.Join(t.task.AttemptDir, spool.EventsFile), `{"v":1,"attempt":`)
		}
	}
	return nil
}

func (t *trainer) refuse(cause pipelines.Cause, why string) error {
	return t.end(pipelines.StepResult{State: pipelines.StatusFailed, Cause: cause, Error: why})
}

func (t *trainer) warn(text string) error {
	return t.emit(pipelines.Event{Message: &pipelines.Message{Level: "warning", Text: text}})
}

// samples counts the training images; a task without an index has 64.
func (t *trainer) samples() (int, error) {
	if t.task.Dataset == nil || t.task.Dataset.IndexPath == "" {
		return 64, nil
	}
	b, err := os.ReadFile(t.task.Dataset.IndexPath)
	if err != nil {
		return 0, fmt.Errorf("read the dataset's index: %w", err)
	}
	var index pipelines.DatasetIndex
	if err := json.Unmarshal(b, &index); err != nil {
		return 0, fmt.Errorf("read the dataset's index %s: %w", t.task.Dataset.IndexPath, err)
	}
	if n := len(index.Splits["train"]); n > 0 {
		return n, nil
	}
	return 0, errors.New("the dataset has no training images")
}

func classes(task pipelines.Task) []string {
	if task.Dataset != nil && len(task.Dataset.Classes) > 0 {
		return task.Dataset.Classes
	}
	n := 2
	if task.Model.NumClasses > 0 {
		n = task.Model.NumClasses
	}
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("class_", i)
	}
	return out
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}
