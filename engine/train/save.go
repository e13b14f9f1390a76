package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
)

// savedAt is when the last checkpoint was written.
type savedAt struct {
	time time.Time
	step int64
}

// savedInfo is a checkpoint that a link points to.
type savedInfo = checkpoint.Info

const (
	saveInterval = 30 * time.Second
	saveShare    = 20 // at most a twentieth of the time goes into checkpoints within epochs
)

// dueForSave says whether a checkpoint within the epoch is due.
func (t *trainer) dueForSave() bool {
	c := t.cfg.Checkpoints
	if c.Steps > 0 && t.state.GlobalStep-t.saved.step >= int64(c.Steps) {
		return true
	}
	interval := c.Interval
	if interval == 0 {
		if c.Steps > 0 {
			return false
		}
		interval = max(saveInterval, saveShare*t.saveCost)
	}
	return time.Since(t.saved.time) >= interval
}

// saveStep writes a checkpoint within an epoch. A full disk is told, not fatal.
func (t *trainer) saveStep() error {
	name := fmt.Sprintf("step_%d", t.state.GlobalStep)
	if t.state.Window.Batches > 0 {
		name = fmt.Sprintf("step_%d_%d", t.state.GlobalStep, t.state.Window.Batches)
	}
	err := t.save(name, false, false, nil)
	if errors.Is(err, checkpoint.ErrNoSpace) {
		t.saved = savedAt{time.Now(), t.state.GlobalStep}
		return t.say("warning", "%v", err)
	}
	return err
}

// save writes the current state as checkpoint name and reports it. complete
// says that it stands at the end of an epoch, best that it is the best so far.
func (t *trainer) save(name string, complete, best bool, metrics map[string]float64) error {
	begin := time.Now()
	bad, err := t.tensors.finite(t.model)
	if err != nil {
		return err
	}
	if bad != "" {
		return fmt.Errorf("%w: %s holds values that are not finite numbers after update %d; lower learning_rate, or set gradient_clip_value",
			ErrNaN, bad, t.state.GlobalStep)
	}
	content, err := t.content(complete, best, metrics)
	if err != nil {
		return err
	}
	dir := t.cfg.Checkpoints.Dir
	info, err := checkpoint.Write(dir, name, content)
	if err != nil {
		return err
	}
	if err := checkpoint.Link(dir, "latest", name); err != nil {
		return err
	}
	t.latest = info
	if best {
		if err := checkpoint.Link(dir, "best", name); err != nil {
			return err
		}
		t.best = info
	}
	if _, err := checkpoint.Retain(dir, t.cfg.Checkpoints.Policy); err != nil {
		if err := t.say("warning", "old checkpoints: %v", err); err != nil {
			return err
		}
	}
	t.saved, t.saveCost = savedAt{time.Now(), t.state.GlobalStep}, time.Since(begin)
	return t.observe(Saved{Checkpoint: info, Best: best})
}

// content describes the files of a checkpoint.
func (t *trainer) content(complete, best bool, metrics map[string]float64) (checkpoint.Content, error) {
	deployed, rest, err := t.tensors.files(t.model)
	if err != nil {
		return checkpoint.Content{}, err
	}
	state, err := json.MarshalIndent(t.state, "", "  ")
	if err != nil {
		return checkpoint.Content{}, fmt.Errorf("encode the training state: %w", err)
	}
	c := checkpoint.Content{
		Epoch: t.state.Epoch, GlobalStep: t.state.GlobalStep, Complete: complete, Metrics: metrics,
		Bytes: t.tensors.bytes() + int64(len(state)),
		Files: map[string]func(io.Writer) error{
			WeightsFile:  encodeWeights(deployed),
			trainingFile: encodeWeights(rest),
			stateFile:    func(w io.Writer) error { _, err := w.Write(state); return err },
		},
	}
	if best {
		model, err := deployable(t.state.Model, deployed)
		if err != nil {
			return checkpoint.Content{}, fmt.Errorf("make %s: %w", ModelFile, err)
		}
		bytes, err := onnx.Marshal(model)
		if err != nil {
			return checkpoint.Content{}, err
		}
		c.Bytes += int64(len(bytes))
		c.Files[ModelFile] = func(w io.Writer) error { _, err := w.Write(bytes); return err }
	}
	return c, nil
}

// epochPath is where the checkpoint of an epoch lies.
func (t *trainer) epochPath(epoch int) string {
	return filepath.Join(t.cfg.Checkpoints.Dir, epochName(epoch))
}

func epochName(epoch int) string { return fmt.Sprintf("epoch_%d", epoch) }
