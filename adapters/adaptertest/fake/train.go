package fake

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"crypto/sha256"

	"github.com/trainwright/trainwright/pipelines"
)

// state is all that a training is; a checkpoint holds it, so that a resumed
// attempt computes exactly what an uninterrupted one would have.
type state struct {
	Weights    []float64      `json:"-"`
	Momentum   []float64      `json:"momentum"`
	Epoch      int            `json:"epoch"`         // epochs completed
	Step       int            `json:"step"`          // steps done of the epoch after
	GlobalStep int64          `json:"global_step"`   // of all
	LossSum    float64        `json:"loss_sum"`      // of the epoch after
	Best       *float64       `json:"best"`          // monitored value
	BestPath   string         `json:"best_path"`     // its checkpoint's name
	Config     map[string]any `json:"config"`        // in force
	Learning   float64        `json:"learning_rate"` // of the train block
}

// trainer is one attempt.
type trainer struct {
	task    pipelines.Task
	emit    func(pipelines.Event) error
	faults  faults
	config  map[string]any // values in force
	salt    string         // hash of all that decides results, but for epoch and step
	steps   int            // of an epoch
	classes []string
	dir     string // of checkpoints
	state   *state
	last    map[string]float64
	result  pipelines.StepResult
}

// hash01 is a number in [0,1) that depends on every argument.
func (t *trainer) hash01(args ...any) float64 {
	h := sha256.Sum256(fmt.Append([]byte(t.salt), args...))
	return float64(binary.LittleEndian.Uint64(h[:8])>>11) / (1 << 53)
}

// makeSalt hashes what decides results. The number of epochs is left out, so
// that a longer training begins as a shorter one did.
func makeSalt(task pipelines.Task, config map[string]any) string {
	tr := task.Train
	parts := []any{task.Model, tr.BatchSize, tr.LearningRate, tr.Seed}
	if task.Dataset != nil {
		parts = append(parts, task.Dataset.Fingerprint, task.Dataset.Classes)
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		parts = append(parts, name, config[name])
	}
	b, err := json.Marshal(parts)
	if err != nil {
		panic(err) // plain data
	}
	return hash(b)
}

// learningRate follows the schedule, epoch by epoch.
func (t *trainer) learningRate() float64 {
	lr, epoch := t.task.Train.LearningRate, float64(t.state.Epoch)
	switch t.config["scheduler.type"] {
	case "cosine":
		tmax := float64(t.task.Train.Epochs)
		if v, ok := t.config["scheduler.T_max"].(int64); ok {
			tmax = float64(v)
		}
		return lr * (1 + math.Cos(math.Pi*min(epoch/tmax, 1))) / 2
	case "step":
		size, _ := t.config["scheduler.step_size"].(int64)
		gamma, _ := t.config["scheduler.gamma"].(float64)
		return lr * math.Pow(gamma, float64(t.state.Epoch/max(1, int(size))))
	}
	return lr
}

// step is one update of the weights. The loss falls by 40 % an epoch.
func (t *trainer) step() (loss, lr float64) {
	s := t.state
	lr = t.learningRate()
	for i := range s.Weights {
		s.Momentum[i] = 0.9*s.Momentum[i] + t.hash01("update", s.Epoch, s.Step, i) - 0.5
		s.Weights[i] += lr * s.Momentum[i]
	}
	at := float64(s.Epoch) + float64(s.Step)/float64(t.steps)
	loss = 2.5 * math.Pow(0.6, at) * (0.9 + 0.2*t.hash01("loss", s.Epoch, s.Step, s.Weights[0]))
	s.Step++
	s.GlobalStep++
	s.LossSum += loss
	return loss, lr
}

// validate is a pass over the validation split: accuracy halves its distance
// to 1 each epoch.
func (t *trainer) validate() pipelines.Validation {
	s := t.state
	u := t.hash01("val", s.Epoch, s.Weights)
	miss := math.Pow(0.5, float64(s.Epoch)) * (0.5 + 0.5*u)
	v := pipelines.Validation{
		Epoch: s.Epoch, GlobalStep: s.GlobalStep, TaskType: t.task.TaskType, Split: "val",
		PrimaryName: "accuracy", PrimaryValue: 1 - miss, Loss: 3 * miss,
		Metrics:  map[string]float64{"accuracy": 1 - miss, "loss": 3 * miss},
		PerClass: map[string]map[string]float64{}, Classes: t.classes,
	}
	for i, class := range t.classes {
		x := 1 - miss*t.hash01("class", i, s.Epoch)
		v.PerClass[class] = map[string]float64{"precision": x, "recall": x, "f1": x, "support": 100}
		row := make([]int64, len(t.classes))
		row[i] = int64(100 * x)
		row[(i+1)%len(t.classes)] += 100 - row[i]
		v.ConfusionMatrix = append(v.ConfusionMatrix, row)
	}
	return v
}

func (t *trainer) run(ctx context.Context) error {
	for t.state.Epoch < t.task.Train.Epochs {
		for t.state.Step < t.steps {
			if ctx.Err() != nil {
				return t.stop()
			}
			if err := t.oneStep(ctx); err != nil || t.result.State != "" {
				return err
			}
		}
		if err := t.endEpoch(); err != nil {
			return err
		}
	}
	return t.complete()
}

func (t *trainer) oneStep(ctx context.Context) error {
	loss, lr := t.step()
	for _, f := range t.faults.at(t.state.GlobalStep) {
		if f.Kind == "nan" {
			loss = math.NaN()
		}
	}
	wait(ctx, t.faults.delay)
	s := t.state
	err := t.emit(pipelines.Event{Metrics: &pipelines.Metrics{
		Epoch: s.Epoch + 1, GlobalStep: s.GlobalStep, Split: "train", Values: map[string]float64{"loss": loss, "learning_rate": lr},
	}})
	if err != nil {
		return err
	}
	err = t.emit(pipelines.Event{Progress: &pipelines.Progress{
		Epoch: s.Epoch + 1, Epochs: t.task.Train.Epochs, Step: int64(s.Step), Steps: int64(t.steps), GlobalStep: s.GlobalStep,
		Loss: s.LossSum / float64(s.Step), ImagesPerSecond: 1000,
	}})
	if err != nil {
		return err
	}
	return t.fault(ctx)
}

func (t *trainer) endEpoch() error {
	s := t.state
	mean := s.LossSum / float64(t.steps)
	s.Epoch, s.Step, s.LossSum = s.Epoch+1, 0, 0
	v := t.validate()
	t.last = maps.Clone(v.Metrics)
	t.last["train_loss"] = mean
	tr := t.task.Train
	every := max(1, tr.Checkpoint.Every)
	if s.Epoch%every != 0 && s.Epoch != tr.Epochs {
		return t.emit(pipelines.Event{Validation: &v})
	}
	better := best(t.last, tr.Monitor, tr.Mode, s.Best)
	if better {
		value := t.last[tr.Monitor]
		s.Best, s.BestPath = &value, fmt.Sprintf("epoch_%d", s.Epoch)
	}
	// An attempt that goes on from a checkpoint does not repeat what came before
	// it, so all that must be in the spool before the checkpoint has its name.
	v.CheckpointPath = filepath.Join(t.dir, fmt.Sprintf("epoch_%d", s.Epoch))
	if err := t.emit(pipelines.Event{Validation: &v}); err != nil {
		return err
	}
	c, err := save(t.dir, filepath.Base(v.CheckpointPath), s, t.last, true)
	if err != nil {
		return err
	}
	return t.announce(c, better)
}

func (t *trainer) announce(c pipelines.Checkpoint, better bool) error {
	names := []string{"latest"}
	if better {
		names = append(names, "best")
	}
	if err := t.emit(pipelines.Event{Checkpoint: &c}); err != nil {
		return err
	}
	for _, name := range names {
		linked, err := link(t.dir, name, c)
		if err != nil {
			return err
		}
		if err := t.emit(pipelines.Event{Checkpoint: &linked}); err != nil {
			return err
		}
	}
	return retain(t.dir, t.task.Train.Checkpoint)
}

// stop writes what there is within an epoch and ends as cancelled.
func (t *trainer) stop() error {
	s := t.state
	if s.GlobalStep > 0 && s.Step > 0 {
		c, err := save(t.dir, fmt.Sprintf("step_%d", s.GlobalStep), s, nil, false)
		if err != nil {
			return err
		}
		if err := t.announce(c, false); err != nil {
			return err
		}
	}
	return t.end(pipelines.StepResult{State: pipelines.StatusCancelled, Error: "stopped by a signal"})
}

func (t *trainer) complete() error {
	r := pipelines.StepResult{State: pipelines.StatusCompleted, LastMetrics: t.last}
	_, latest, err := load(t.dir + "/latest")
	if err != nil {
		return err
	}
	latest.Name, r.Latest = "latest", &latest
	if r.LastMetrics == nil {
		r.LastMetrics = latest.Metrics // all was done when the attempt began
	}
	// In the state stands which one is best; the link may be of an attempt that was given up.
	r.Best, r.Metrics = r.Latest, r.LastMetrics
	if t.state.BestPath != "" {
		_, b, err := load(t.dir + "/" + t.state.BestPath)
		if err != nil {
			return err
		}
		b.Name, r.Best, r.Metrics = "best", &b, b.Metrics
	}
	r.PerClass = t.validate().PerClass
	artifact, err := t.writeModel(r.Best.Path)
	if err != nil {
		return err
	}
	r.Artifacts = []pipelines.Artifact{artifact}
	return t.end(r)
}

func (t *trainer) end(r pipelines.StepResult) error {
	t.result = r
	return t.emit(pipelines.Event{Result: &r})
}
