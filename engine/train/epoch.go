package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/trainwright/trainwright/engine/data"
)

// ErrNaN means that the loss or the weights stopped being finite numbers.
var ErrNaN = errors.New("training diverged")

// epoch trains on what is left of the epoch under way.
func (t *trainer) epoch(ctx context.Context) error {
	t.started, t.startedAt = time.Now(), t.state.Position
	batches := upTo(t.used, t.loader.Epoch(ctx, t.state.Epoch, t.state.Position))
	for at, err := range t.feeder.batches(ctx, batches, 0) {
		if err != nil {
			return err
		}
		if err := t.step(ctx, at); err != nil {
			return err
		}
		if err := t.progress(); err != nil {
			return err
		}
		if t.state.Position < t.used && t.dueForSave() {
			if err := t.saveStep(); err != nil {
				return err
			}
		}
		if t.state.Position == t.used {
			break
		}
	}
	return ctx.Err()
}

// upTo ends an epoch after the given number of images: a remainder of one
// image is left out, see compile.
func upTo(used int, seq iter.Seq2[*data.Batch, error]) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for b, err := range seq {
			if err == nil && b.Position > used || !yield(b, err) {
				return
			}
		}
	}
}

// step trains on one batch. When it fails, the state is that before the batch.
func (t *trainer) step(ctx context.Context, at *place) error {
	b := &at.batch
	kind := stepUpdate
	if t.cfg.Accumulate > 1 {
		kind = stepAccumulate
		if t.state.Window.Batches+1 >= t.cfg.Accumulate || b.Position >= t.used {
			kind = stepDrain
		}
	}
	p := t.programs[stepKey{kind, b.Len()}]
	if p == nil {
		return fmt.Errorf("no training step was compiled for %d images (%s)", b.Len(), kind)
	}
	if err := t.feed(p, b); err != nil {
		return err
	}
	if err := p.run(ctx, t.tensors, at); err != nil {
		return err
	}
	loss, err := p.scalar(outLoss)
	if err != nil {
		return err
	}
	right, err := p.scalar(outRight)
	if err != nil {
		return err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%w: the loss is %v at batch %d of epoch %d (learning rate %g); lower learning_rate, or set gradient_clip_value",
			ErrNaN, loss, t.state.Sums.Batches+1, t.state.Epoch+1, t.learningRate())
	}
	overflow, err := t.overflowed(p)
	if err != nil {
		return err
	}
	n := float64(b.Len())
	t.state.Sums.Loss += loss * n
	t.state.Sums.Right += right
	t.state.Sums.Images += b.Len()
	t.state.Sums.Batches++
	t.state.Position = b.Position
	if overflow {
		return nil // the batch changes nothing
	}
	p.assign(t.tensors)
	if kind == stepAccumulate {
		t.state.Window.Batches++
		t.state.Window.Samples += b.Len()
		return nil
	}
	t.state.Window = Window{}
	t.state.GlobalStep++
	t.state.OptimizerStep++
	t.state.EMAStep++
	return nil
}

// batches is how many batches an epoch has.
func (t *trainer) batches() int64 {
	n := t.main.batch
	return int64((t.used + n - 1) / n)
}

const progressEvery = 250 * time.Millisecond

// progress tells where training is, now and then.
func (t *trainer) progress() error {
	now := time.Now()
	last := t.state.Position >= t.used
	if now.Sub(t.told) < progressEvery && !last {
		return nil
	}
	t.told = now
	speed := t.speed()
	left := float64(t.used-t.state.Position) + float64(t.cfg.Epochs-t.state.Epoch-1)*float64(t.used)
	return t.observe(Progress{
		Epoch: t.state.Epoch + 1, Epochs: t.cfg.Epochs, Step: t.state.Sums.Batches, Steps: t.batches(),
		GlobalStep: t.state.GlobalStep, Loss: t.state.Sums.Loss / float64(t.state.Sums.Images),
		ImagesPerSecond: speed, ETASeconds: left/max(speed, 1e-9) + float64(t.cfg.Epochs-t.state.Epoch)*t.valCost.Seconds(),
	})
}

// speed is in images per second, over this process's share of the epoch.
func (t *trainer) speed() float64 {
	return float64(t.state.Position-t.startedAt) / max(time.Since(t.started).Seconds(), 1e-9)
}

// epochEnd reports the training metrics of the epoch under way, which is done.
func (t *trainer) epochEnd() EpochEnd {
	n := math.Max(1, float64(t.state.Sums.Images))
	return EpochEnd{
		Epoch: t.state.Epoch + 1, GlobalStep: t.state.GlobalStep,
		Loss: t.state.Sums.Loss / n, Accuracy: t.state.Sums.Right / n,
		LearningRate: t.learningRate(), ImagesPerSecond: t.speed(),
	}
}
