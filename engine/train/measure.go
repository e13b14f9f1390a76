package train

import (
	"context"
	"os"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/rng"
)

// Speed is what Measure found.
type Speed struct {
	Applied Applied
	Steps   []time.Duration // each from taking a batch to its loss; the first with compilation
	Loss    float64         // mean of all steps
}

// Measure times the training step of cfg, which needs no images: the graphs,
// memory and copies of Run, on random batches. tell, which may be nil, is
// called after each step.
func Measure(ctx context.Context, cfg Config, steps int, tell func(step int)) (Speed, error) {
	cfg.Train, cfg.Val, cfg.Checkpoints.Dir = make([]data.Sample, cfg.BatchSize), nil, os.DevNull // neither is read
	begin := time.Now()
	t, err := newTrainer(cfg, func(Event) error { return nil })
	if err != nil {
		return Speed{}, memoryAdvice(err, cfg)
	}
	defer t.close()
	if err := t.initial(""); err != nil {
		return Speed{}, err
	}
	t.state = t.fresh()
	out := Speed{Applied: t.applied()}
	for at, err := range t.feeder.batches(ctx, t.random(steps), 0) {
		if err == nil {
			t.state.Position = 0
			err = t.step(ctx, at)
		}
		if err != nil {
			return Speed{}, memoryAdvice(err, cfg)
		}
		out.Steps = append(out.Steps, time.Since(begin))
		if tell != nil {
			tell(len(out.Steps))
		}
		begin = time.Now()
	}
	out.Loss = t.state.Sums.Loss / float64(max(1, t.state.Sums.Images))
	return out, nil
}

// random yields the same batch of random images again and again, as from a
// loader that is never waited for.
func (t *trainer) random(batches int) func(func(*data.Batch, error) bool) {
	return func(yield func(*data.Batch, error) bool) {
		n, draw := t.main.batch, rng.New(uint64(t.cfg.Seed), "measure")
		b := &data.Batch{Images: make([]byte, n*t.cfg.Model.ImageSize*t.cfg.Model.ImageSize*3), Indices: make([]int, n), Position: n}
		for i := range b.Images {
			b.Images[i] = byte(draw.Uint32())
		}
		for range n {
			b.Labels = append(b.Labels, int64(draw.IntN(len(t.cfg.Model.Classes))))
		}
		for range batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}
