package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
)

// Run trains. It compiles, reports what it built, and trains to the end of the
// last epoch or until patience runs out. When ctx ends, it writes a checkpoint
// and returns ctx's error with the Result so far.
func Run(ctx context.Context, cfg Config, observe Observer) (Result, error) {
	t, err := newTrainer(cfg, observe)
	if err != nil {
		return Result{}, memoryAdvice(err, cfg)
	}
	defer t.close()
	resumed, err := t.begin()
	if err != nil {
		return Result{}, err
	}
	if err := observe(t.applied()); err != nil {
		return Result{}, err
	}
	if resumed != nil {
		if err := observe(*resumed); err != nil {
			return Result{}, err
		}
	}
	if dropped := t.loader.Used() - t.used; dropped > 0 {
		if err := t.say("info", "the last batch of each epoch would be a single image, which batch norm cannot train on: it is left out"); err != nil {
			return Result{}, err
		}
	}
	t.saved = savedAt{time.Now(), t.state.GlobalStep}
	err = t.epochs(ctx)
	if stopped(ctx, err) {
		err = errors.Join(fmt.Errorf("training stopped in epoch %d: %w", t.state.Epoch+1, ctx.Err()), t.saveOnStop())
	}
	return t.result(), memoryAdvice(err, t.cfg)
}

// memoryAdvice says what to do when memory ran out.
func memoryAdvice(err error, c Config) error {
	var from *ort.Error
	if !errors.As(err, &from) || !from.OutOfMemory() {
		return err
	}
	advice := fmt.Sprintf("lower batch_size (%d; gradient_accumulation makes up for it)", c.BatchSize)
	if c.Model.ImageSize > 0 {
		advice += fmt.Sprintf(" or image_size (%d)", c.Model.ImageSize)
	}
	if c.Device != "cpu" && !c.MixedPrecision {
		advice += ", set mixed_precision on a GPU"
	}
	return fmt.Errorf("memory ran out: %w; %s, or choose a smaller model than %s", err, advice, c.Model.Name)
}

// epochs trains, validates and saves, epoch by epoch.
func (t *trainer) epochs(ctx context.Context) error {
	for t.state.Epoch < t.cfg.Epochs && t.state.StoppedBy == "" {
		if t.state.Position < t.used {
			if err := t.epoch(ctx); err != nil {
				return err
			}
		}
		if err := t.finishEpoch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finishEpoch validates, decides what the epoch was worth and saves it. Metrics
// are told before the checkpoint that makes them final, so that none is lost
// when the process dies between.
func (t *trainer) finishEpoch(ctx context.Context) error {
	end := t.epochEnd()
	var v *Validation
	if t.eval != nil {
		begin := time.Now()
		found, err := t.validate(ctx)
		if err != nil {
			return err
		}
		t.valCost = time.Since(begin)
		v = &Validation{Epoch: end.Epoch, GlobalStep: end.GlobalStep, Report: found.report, Metrics: metricsOf(found.report),
			Classes: t.cfg.Model.Classes, Curves: found.curves, Samples: found.samples}
		v.Improved = better(v.Metrics[t.cfg.Monitor], t.state.Best, t.cfg.Monitor, t.cfg.Minimize)
	}
	t.conclude(end, v)
	best := v == nil || v.Improved
	last := t.state.Epoch == t.cfg.Epochs || t.state.StoppedBy != ""
	write := best || last || t.state.Epoch%t.cfg.Checkpoints.Policy.Every == 0
	if err := t.observe(end); err != nil {
		return err
	}
	var metrics map[string]float64
	if v != nil {
		metrics = v.Metrics
		if write {
			v.Checkpoint = t.epochPath(v.Epoch)
		}
		if err := t.observe(*v); err != nil {
			return err
		}
	}
	if !write {
		return nil
	}
	return t.save(epochName(t.state.Epoch), true, best, metrics)
}

// conclude moves the state to the beginning of the next epoch.
func (t *trainer) conclude(end EpochEnd, v *Validation) {
	t.state.Epoch++
	t.state.Position, t.state.Sums = 0, Sums{}
	if v == nil {
		t.state.Best = &Best{Epoch: end.Epoch, GlobalStep: end.GlobalStep}
		return
	}
	this := &Best{Epoch: v.Epoch, GlobalStep: v.GlobalStep, Metrics: checkpoint.Finite(v.Metrics), PerClass: v.Report.PerClass}
	t.state.Last = this
	if v.Improved {
		t.state.Best, t.state.Stale = this, 0
		return
	}
	t.state.Stale++
	if t.cfg.Patience > 0 && t.state.Stale >= t.cfg.Patience {
		t.state.StoppedBy = "early_stopping"
	}
}

// saveOnStop keeps what was done when ctx ended, unless a checkpoint has it.
func (t *trainer) saveOnStop() error {
	if t.state.GlobalStep == t.saved.step && t.state.Window.Batches == 0 && t.latest.Path != "" {
		return nil
	}
	if t.state.GlobalStep == 0 && t.state.Window.Batches == 0 {
		return nil
	}
	return t.saveStep()
}

func (t *trainer) result() Result {
	r := Result{Epochs: t.state.Epoch, GlobalStep: t.state.GlobalStep, Best: t.best, Latest: t.latest, StoppedBy: t.state.StoppedBy}
	if t.state.Best != nil {
		r.Metrics, r.PerClass = t.state.Best.Metrics, t.state.Best.PerClass
	}
	if t.state.Last != nil {
		r.LastMetrics = t.state.Last.Metrics
	}
	if _, ok := r.Best.Files[ModelFile]; ok {
		r.Model = filepath.Join(r.Best.Path, ModelFile)
	}
	return r
}
