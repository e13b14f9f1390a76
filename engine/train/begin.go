package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/engine/weights"
)

// optimizerStates begins the names of the optimizer's slots; see optim.SlotName.
const optimizerStates = "optimizer/"

// begin sets tensors and state: from this run's newest checkpoint, from
// another's, from a file of weights, or from the seed. It returns what to
// report of a resume, nil when training begins at its first step.
func (t *trainer) begin() (*Resumed, error) {
	t.state = t.fresh()
	t.started = time.Now()
	dir := t.cfg.Checkpoints.Dir
	if err := checkpoint.Sweep(dir); err != nil {
		return nil, err
	}
	if t.cfg.Resume {
		info, skipped, ok, err := checkpoint.Newest(dir)
		if err != nil {
			return nil, err
		}
		for _, s := range skipped {
			if err := t.say("warning", "%v; going back to the checkpoint before", s); err != nil {
				return nil, err
			}
		}
		if ok {
			return t.resume(info, t.resetFor(info))
		}
	}
	if t.cfg.Start.Path == "" {
		return nil, t.initial(t.cfg.Model.Weights)
	}
	if stat, err := os.Stat(t.cfg.Start.Path); err == nil && !stat.IsDir() && t.cfg.Start.Weights {
		return nil, t.initial(t.cfg.Start.Path)
	}
	info, err := checkpoint.Open(t.cfg.Start.Path)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if t.cfg.Start.Weights {
		return nil, t.initial(filepath.Join(info.Path, WeightsFile))
	}
	if err := t.adopt(info); err != nil {
		return nil, err
	}
	return t.resume(info, t.cfg.Start.Reset)
}

// resetFor returns what to drop when resuming from info: it may be the start
// checkpoint, copied by an attempt that got no further.
func (t *trainer) resetFor(info checkpoint.Info) []Part {
	if t.cfg.Start.Path == "" || t.cfg.Start.Weights {
		return nil
	}
	if start, err := checkpoint.Open(t.cfg.Start.Path); err == nil && start.SHA256 == info.SHA256 {
		return t.cfg.Start.Reset
	}
	return nil
}

func (t *trainer) fresh() State {
	return State{
		Version: stateVersion, EMA: t.main.ema > 0, LossScale: newLossScale(t.main.precision), Environment: t.device.environment(t.rt), Config: t.cfg.Record,
		Model: SavedModel{Name: t.cfg.Model.Name, ImageSize: t.cfg.Model.ImageSize, Classes: t.cfg.Model.Classes},
	}
}

// initial draws initial values from the seed and puts a file's weights over them.
func (t *trainer) initial(path string) error {
	t.from = fmt.Sprintf("seed %d", t.cfg.Seed)
	if err := t.tensors.setAll(nn.Values(t.main.model.Init, t.cfg.Seed)); err != nil {
		return err
	}
	if path != "" {
		f, err := weights.Open(path)
		if err != nil {
			return err
		}
		values, report, err := weights.Match(f, t.main.model.Wants(), t.main.model.Info.Classifier)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := t.tensors.setAll(values); err != nil {
			return err
		}
		t.from = path
		if err := t.say("info", "weights %s: %s", path, report); err != nil {
			return err
		}
	}
	return t.tensors.startEMA()
}

// resume sets everything from a checkpoint.
func (t *trainer) resume(info checkpoint.Info, reset []Part) (*Resumed, error) {
	old, err := ReadState(info.Path)
	if err != nil {
		return nil, err
	}
	if err := t.compatible(old.Model); err != nil {
		return nil, fmt.Errorf("resume from %s: %w", info.Path, err)
	}
	deployed, err := weights.Open(filepath.Join(info.Path, WeightsFile))
	if err != nil {
		return nil, err
	}
	rest, err := weights.Open(filepath.Join(info.Path, trainingFile))
	if err != nil {
		return nil, err
	}
	missing, err := t.tensors.load(t.model, deployed, rest)
	if err != nil {
		return nil, fmt.Errorf("resume from %s: %w", info.Path, err)
	}
	now := t.fresh()
	diff := differences(old.Environment, now.Environment)
	t.state = old
	t.state.EMA, t.state.Environment, t.state.Config = now.EMA, now.Environment, now.Config
	if old.LossScale == nil || now.LossScale == nil {
		t.state.LossScale = now.LossScale
	}
	t.from = info.Path
	if err := t.restart(missing, reset); err != nil {
		return nil, err
	}
	if t.state.Epoch < t.cfg.Epochs {
		t.state.StoppedBy = t.stillStopped()
	}
	t.latest = info
	if err := t.findBest(); err != nil {
		return nil, err
	}
	return &Resumed{Checkpoint: info, Epoch: t.state.Epoch, Position: t.state.Position, GlobalStep: t.state.GlobalStep, Differences: diff}, nil
}

// findBest finds the checkpoint that the state calls the best. Where a process
// died after it wrote that one and before it linked it, it is linked now.
func (t *trainer) findBest() error {
	dir, want := t.cfg.Checkpoints.Dir, t.state.Best
	best, err := checkpoint.Open(filepath.Join(dir, "best"))
	switch {
	case want != nil && t.latest.Complete && t.latest.GlobalStep == want.GlobalStep:
		if err != nil || best.Name != t.latest.Name {
			if err := checkpoint.Link(dir, "best", t.latest.Name); err != nil {
				return err
			}
			if best, err = checkpoint.Open(filepath.Join(dir, "best")); err != nil {
				return err
			}
		}
		t.best = best
	case want != nil && err == nil && best.GlobalStep == want.GlobalStep:
		t.best = best
	default:
		t.state.Best, t.state.Stale = nil, 0 // it is gone, so the next epoch makes a new one
	}
	return nil
}

// restart begins anew what the checkpoint lacked and what shall be dropped.
func (t *trainer) restart(missing []string, reset []Part) error {
	lacks := func(prefix string) bool {
		return slices.ContainsFunc(missing, func(n string) bool { return strings.HasPrefix(n, prefix) })
	}
	if lacks(optimizerStates) || slices.Contains(reset, PartOptimizer) {
		if err := t.tensors.zero(optimizerStates); err != nil {
			return err
		}
		t.state.OptimizerStep = 0
		if err := t.say("info", "the optimizer's state starts anew"); err != nil {
			return err
		}
	}
	if t.main.ema > 0 && (lacks(optim.EMAName("")) || slices.Contains(reset, PartEMA)) {
		if err := t.tensors.startEMA(); err != nil {
			return err
		}
		t.state.EMAStep = 0
		if err := t.say("info", "the moving average starts anew at the current weights"); err != nil {
			return err
		}
	}
	if t.state.Window.Batches > 0 && (lacks(optim.AccumulatorName("")) || t.cfg.Accumulate == 1) {
		t.state.Window = Window{}
		if err := t.tensors.zero(optim.AccumulatorName("")); err != nil {
			return err
		}
	}
	return nil
}

// stillStopped decides again whether patience has run out, since it may have changed.
func (t *trainer) stillStopped() string {
	if t.cfg.Patience > 0 && t.state.Stale >= t.cfg.Patience {
		return "early_stopping"
	}
	return ""
}

func (t *trainer) compatible(old SavedModel) error {
	now := t.fresh().Model
	switch {
	case old.Name != now.Name:
		return fmt.Errorf("it holds model %s, this training is of %s", old.Name, now.Name)
	case !slices.Equal(old.Classes, now.Classes):
		return fmt.Errorf("it was trained on %d other classes; use start { mode = \"weights\" }", len(old.Classes))
	}
	return nil
}
