package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/image"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/lower/layout"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/zoo"
)

// trainer is a training that is built and may run.
type trainer struct {
	cfg     Config
	rt      *ort.Runtime
	device  device
	observe Observer

	loader    *data.Loader
	valLoader *data.Loader // nil without validation images
	used      int          // images of an epoch, less a remainder that is dropped

	main      *step // the graph of a full batch that updates; what Applied reports
	programs  map[stepKey]*program
	eval      *program // nil without validation images
	evalBatch int
	tensors   *tensors
	model     []string // names of the model's parameters and buffers

	feeder, evalFeeder *feeder

	state     State
	from      string // where the first weights came from
	saved     savedAt
	saveCost  time.Duration
	valCost   time.Duration // of the last validation
	latest    savedInfo
	best      savedInfo
	started   time.Time // of this process's share of the epoch
	startedAt int       // images of the epoch that were done then
	told      time.Time // of the last Progress
}

// stepKey names a compiled training step.
type stepKey struct {
	kind  stepKind
	batch int
}

// newTrainer compiles everything that a training needs. Nothing runs yet.
func newTrainer(cfg Config, observe Observer) (t *trainer, err error) {
	if cfg, err = cfg.normal(); err != nil {
		return nil, err
	}
	t = &trainer{cfg: cfg, observe: observe, programs: map[stepKey]*program{}}
	if t.rt, err = openRuntime(cfg.Library); err != nil {
		return nil, err
	}
	if t.device, err = newDevice(t.rt, cfg.Device, cfg.Threads); err != nil {
		return nil, err
	}
	if cfg.adjust != nil {
		cfg.adjust(&t.device)
	}
	if t.device.provider == lower.CPU {
		t.device.block = layout.Block(context.Background(), t.rt)
	}
	// Further rewrites serve constant weights; with trained ones they cost a few
	// per cent on transformers and bring nothing on convolutions.
	t.device.options.Optimization = ort.OptBasic
	made := t // `return nil, err` clears t before the deferred call
	defer func() {
		if err != nil {
			made.close()
		}
	}()
	if err = t.makeLoaders(); err != nil {
		return nil, err
	}
	if err = t.compile(); err != nil {
		return nil, err
	}
	return t, t.tellFallback()
}

// tellFallback says that a part of the graphs may run on the CPU, and which.
func (t *trainer) tellFallback() error {
	if !t.device.fallback {
		return nil
	}
	var found []error
	for _, p := range t.programs {
		found = append(found, p.onHost)
	}
	which := "none is known"
	if err := errors.Join(found...); err != nil {
		which = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return t.say("warning", "%s = 1: operators that the CUDA provider does not take run on the CPU, which is slow (%s)", EnvCUDAFallback, which)
}

func (t *trainer) makeLoaders() error {
	info, err := zoo.Lookup(t.cfg.Model.Name)
	if err != nil {
		return err
	}
	base := data.Config{
		Samples: t.cfg.Train, BatchSize: t.cfg.BatchSize, Workers: t.cfg.Workers, CacheBytes: data.DefaultCacheBytes,
		Transform: image.Eval{Size: t.cfg.Model.ImageSize, CropPct: info.CropPct, Filter: image.Filter(info.Interpolation)},
	}
	train := base
	train.DropLast, train.Shuffle, train.Seed, train.Augment = t.cfg.DropLast, true, uint64(t.cfg.Seed), t.cfg.Augment
	if t.loader, err = data.New(train); err != nil {
		return fmt.Errorf("train split: %w", err)
	}
	t.used = t.loader.Used()
	if len(t.cfg.Val) == 0 {
		return nil
	}
	val := base
	t.evalBatch = min(t.cfg.BatchSize, len(t.cfg.Val))
	val.Samples, val.BatchSize = t.cfg.Val, t.evalBatch
	if t.valLoader, err = data.New(val); err != nil {
		return fmt.Errorf("val split: %w", err)
	}
	return nil
}

// compile builds the graphs of every batch size and kind that will occur.
func (t *trainer) compile() error {
	batch := min(t.cfg.BatchSize, t.loader.Len())
	first := stepUpdate
	if t.cfg.Accumulate > 1 {
		first = stepDrain
	}
	mixed := t.cfg.MixedPrecision && lower.ReducedPrecision(t.device.provider, lower.Float16)
	var err error
	if t.main, err = buildStep(t.cfg, first, batch, mixed); err != nil {
		return err
	}
	t.device.precision = t.main.precision
	for _, i := range t.main.model.Init {
		t.model = append(t.model, i.Name)
	}
	rest := t.used % batch
	if rest == 1 && t.main.hasBatchNorm() {
		t.used, rest = t.used-1, 0
		if t.used == 0 {
			return fmt.Errorf("one training image is too few for a model with batch norm")
		}
	}
	keys := []stepKey{{first, batch}}
	if first == stepDrain && t.used > batch {
		keys = append(keys, stepKey{stepAccumulate, batch})
	}
	if rest > 0 {
		keys = append(keys, stepKey{first, rest})
	}
	graphs := make([]*graph.Graph, len(keys))
	for i, k := range keys {
		s := t.main
		if i > 0 {
			if s, err = buildStep(t.cfg, k.kind, k.batch, mixed); err != nil {
				return err
			}
		}
		graphs[i] = s.graph
	}
	for i, k := range keys {
		if t.programs[k], err = compile(t.rt, graphs[i], t.device); err != nil {
			return err
		}
	}
	m, err := newMemory(t.rt, t.device, t.programs[keys[0]].session)
	if err != nil {
		return err
	}
	if t.tensors, err = newTensors(m, graphs...); err != nil {
		return err
	}
	if t.feeder, err = newFeeder(m, t.cfg.Model.ImageSize, batch, max(rest, 1)); err != nil {
		return err
	}
	return t.compileEval()
}

func (t *trainer) compileEval() error {
	if t.valLoader == nil {
		return nil
	}
	g, err := buildEval(t.cfg.Model, t.evalBatch)
	if err != nil {
		return err
	}
	d := t.device
	d.precision = lower.Float32
	if t.eval, err = compile(t.rt, g, d); err != nil {
		return err
	}
	t.evalFeeder, err = newFeeder(t.tensors.memory, t.cfg.Model.ImageSize, t.evalBatch)
	return err
}

func (t *trainer) close() {
	for _, p := range t.programs {
		p.unbind()
	}
	t.feeder.close()
	t.evalFeeder.close()
	if t.tensors != nil {
		t.tensors.close()
	}
	for _, p := range t.programs {
		p.close()
	}
	t.eval.close()
}

// applied reads back what was built.
func (t *trainer) applied() Applied {
	a := Applied{
		Model: t.main.model.Info.Name, ImageSize: t.loader.Applied().Transform.Size,
		Classes:   t.main.graph.Dim(t.main.model.Logits, -1),
		Optimizer: t.main.optimizer, Schedule: t.cfg.Schedule, Loader: t.loader.Applied(),
		Seed: int64(t.loader.Applied().Seed), Epochs: t.cfg.Epochs,
		ClipNorm: t.main.clip, Accumulate: 1, LabelSmoothing: t.main.smoothing, EMADecay: t.main.ema,
		MixedPrecision: t.main.precision != lower.Float32, Precision: string(t.main.precision),
		Patience: t.cfg.Patience, Monitor: t.cfg.Monitor, Minimize: t.cfg.Minimize,
		Weights: t.from, Device: t.device.name, Inactive: map[string]string{}, Environment: t.device.environment(t.rt),
	}
	if t.main.kind == stepDrain {
		a.Accumulate = t.cfg.Accumulate
	}
	for _, p := range t.main.graph.Params() {
		if t.main.graph.Frozen(p.Value) {
			a.Frozen = append(a.Frozen, p.Name)
		} else {
			a.Parameters += t.main.graph.Type(p.Value).Elems()
		}
	}
	if t.cfg.MixedPrecision && !a.MixedPrecision {
		a.Inactive["mixed_precision"] = fmt.Sprintf("the %s provider is not faster in half precision", t.device.provider)
	}
	return a
}

// learningRate is that of the epoch under way.
func (t *trainer) learningRate() float64 { return t.cfg.Schedule.At(t.state.Epoch) }

// feed sets the scalars of a batch's update.
func (t *trainer) feed(p *program, b *data.Batch) error {
	for _, s := range t.main.optimizer.Scalars(t.learningRate(), t.state.OptimizerStep+1) {
		if err := p.setScalar(s.Name, s.Value); err != nil {
			return err
		}
	}
	scalars := map[string]float32{
		inSamples: float32(b.Len()),
		inTotal:   float32(t.state.Window.Samples + b.Len()),
		inDecay:   optim.EMADecay(t.main.ema, t.state.EMAStep+1),
	}
	if t.state.LossScale != nil {
		scalars[inScale] = float32(t.state.LossScale.Scale)
	}
	for name, v := range scalars {
		if err := p.setScalar(name, v); err != nil {
			return err
		}
	}
	return nil
}

// say sends a message for people.
func (t *trainer) say(level, format string, args ...any) error {
	return t.observe(Message{Level: level, Text: fmt.Sprintf(format, args...)})
}

// stopped reports whether err is the end of ctx rather than a failure.
func stopped(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }
