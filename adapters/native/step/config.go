package step

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/pipelines"
)

// trainConfig turns a task into the engine's config. Every field of the task's
// config must be read here; one that is not is an error.
func trainConfig(task pipelines.Task) (train.Config, error) {
	if task.Model == nil {
		return train.Config{}, configError{errors.New("the task has no model")}
	}
	splits, classes, err := samples(task, "train", "val")
	if err != nil {
		return train.Config{}, err
	}
	t := task.Train
	f := &fields{values: t.Config, read: map[string]bool{}}
	cfg := train.Config{
		Model:  train.Model{Name: task.Model.Name, ImageSize: task.Model.ImageSize, Classes: classes, Freeze: task.Model.Freeze},
		Train:  splits["train"],
		Val:    splits["val"],
		Epochs: t.Epochs, BatchSize: t.BatchSize, Seed: t.Seed, Workers: t.NumWorkers, Device: t.Device,
		Optimizer:      optimizer(f),
		Schedule:       schedule(f, t),
		Augment:        augment(f),
		MixedPrecision: f.boolean("mixed_precision"),
		ClipNorm:       f.number("gradient_clip_value"),
		Accumulate:     f.integer("gradient_accumulation"),
		LabelSmoothing: f.number("label_smoothing"),
		EMADecay:       f.number("ema_decay"),
		Patience:       f.integer("early_stopping.patience"),
		DropLast:       f.boolean("drop_last"),
		Monitor:        t.Monitor, Minimize: t.Mode == "min",
		Checkpoints: train.Checkpoints{
			Dir: filepath.Join(task.RunDir, "checkpoints"),
			Policy: checkpoint.Policy{Every: t.Checkpoint.Every, KeepLast: t.Checkpoint.KeepLast,
				KeepBest: t.Checkpoint.KeepBest, KeepEvery: t.Checkpoint.KeepEvery},
		},
		Resume: task.Resume,
		Record: t.Config,
	}
	if err := f.finish(); err != nil {
		return train.Config{}, configError{err}
	}
	if t.Start != nil {
		cfg.Start = train.Start{Path: t.Start.Checkpoint.Path, Weights: t.Start.Mode == pipelines.StartWeights, Reset: parts(t.Reset)}
	}
	return cfg, nil
}

func optimizer(f *fields) optim.Config {
	c := optim.Config{Type: f.text("optimizer.type"), WeightDecay: f.number("optimizer.weight_decay")}
	if c.Type == "sgd" {
		c.Momentum, c.Nesterov = f.number("optimizer.momentum"), f.boolean("optimizer.nesterov")
		return c
	}
	c.Beta1, c.Beta2, c.Eps = f.number("optimizer.beta1"), f.number("optimizer.beta2"), f.number("optimizer.eps")
	return c
}

func schedule(f *fields, t *pipelines.TaskTrain) optim.Schedule {
	s := optim.Schedule{
		Type: f.text("scheduler.type"), LearningRate: t.LearningRate, Epochs: t.Epochs,
		WarmupEpochs: f.integer("scheduler.warmup_epochs"),
	}
	if f.has("optimizer.learning_rate") {
		s.LearningRate = f.number("optimizer.learning_rate")
	}
	switch s.Type {
	case "cosine":
		s.TMax, s.EtaMin = f.integer("scheduler.T_max"), f.number("scheduler.eta_min")
	case "step":
		s.StepSize, s.Gamma = f.integer("scheduler.step_size"), f.number("scheduler.gamma")
	}
	return s
}

func augment(f *fields) data.Augment {
	if !f.boolean("augmentation.enabled") {
		return data.Augment{}
	}
	return data.Augment{
		RandomFlip: f.boolean("augmentation.random_flip"), RandomCrop: f.integer("augmentation.random_crop"),
		Rotation: f.number("augmentation.rotation"), ColorJitter: f.number("augmentation.color_jitter"),
	}
}

// parts are the pieces of state that a change of the named fields drops.
func parts(fields []string) []train.Part {
	var out []train.Part
	for _, f := range fields {
		part := train.Part("")
		switch {
		case strings.HasPrefix(f, "optimizer."):
			part = train.PartOptimizer
		case f == "ema_decay":
			part = train.PartEMA
		}
		if part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

// fields reads a config by name and type; the first mistake sticks. A field
// that is absent is inactive and reads as zero.
type fields struct {
	values map[string]any
	read   map[string]bool
	err    error
}

func (f *fields) has(name string) bool { return f.values[name] != nil }

func (f *fields) number(name string) float64 {
	f.read[name] = true
	switch v := f.values[name].(type) {
	case nil:
		return 0
	case float64:
		return v
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	f.wrong(name, "a number")
	return 0
}

func (f *fields) integer(name string) int {
	v := f.number(name)
	if v != float64(int(v)) {
		f.wrong(name, "a whole number")
	}
	return int(v)
}

func (f *fields) boolean(name string) bool {
	f.read[name] = true
	v, ok := f.values[name].(bool)
	if !ok && f.values[name] != nil {
		f.wrong(name, "true or false")
	}
	return v
}

func (f *fields) text(name string) string {
	f.read[name] = true
	v, ok := f.values[name].(string)
	if !ok && f.values[name] != nil {
		f.wrong(name, "a string")
	}
	return v
}

func (f *fields) wrong(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s is %v (%T), want %s", name, f.values[name], f.values[name], want)
	}
}

// finish returns the first mistake, or an error naming fields that nobody read.
func (f *fields) finish() error {
	if f.err != nil {
		return f.err
	}
	var unread []string
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !f.read[name] && f.values[name] != nil {
			unread = append(unread, name)
		}
	}
	if len(unread) > 0 {
		return fmt.Errorf("the native adapter does not read %s under this config", strings.Join(unread, ", "))
	}
	return nil
}
