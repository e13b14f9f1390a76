package train

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/ort"
)

// testFeeder has places for batches of 2 and 1 images of 4 px, on the host or,
// staged, on what is treated as a device.
func testFeeder(t *testing.T, staged bool) *feeder {
	t.Helper()
	rt := needRuntime(t)
	g, err := buildEval(Model{Name: "convnet", ImageSize: 16, Classes: classNames}, 1)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDevice(rt, "cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	d.staged = staged
	p, err := compile(rt, g, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	m, err := newMemory(rt, d, p.session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	f, err := newFeeder(m, 4, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// counted yields batches of the given sizes, whose images hold their number in
// memory that is used again, as a loader's; pulled is told of each one asked for.
func counted(pulled chan<- int, sizes ...int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		b := &data.Batch{}
		for i, n := range sizes {
			pulled <- i
			b.Images = slices.Repeat([]byte{byte(i + 1)}, n*4*4*3)
			b.Labels, b.Indices, b.Position = slices.Repeat([]int64{int64(i)}, n), make([]int, n), b.Position+n
			if !yield(b, nil) {
				return
			}
		}
	}
}

func TestFeederIsOneBatchAhead(t *testing.T) {
	for _, staged := range []bool{false, true} {
		f := testFeeder(t, staged)
		pulled := make(chan int, 9)
		sizes, number := []int{2, 2, 2, 1}, 0
		for at, err := range f.batches(t.Context(), counted(pulled, sizes...), 0) {
			if err != nil {
				t.Fatal(err)
			}
			// The next one is asked for while this one is in use, and none further.
			for want := number; want <= min(number+1, len(sizes)-1); want++ {
				if number == 0 || want > number {
					if got := <-pulled; got != want {
						t.Fatalf("batch %d was asked for, want %d", got, want)
					}
				}
			}
			images, err := ort.View[byte](at.images)
			if err != nil {
				t.Fatal(err)
			}
			n := sizes[number]
			if at.batch.Len() != n || len(images) != n*48 || slices.ContainsFunc(images, func(b byte) bool { return b != byte(number+1) }) || at.batch.Labels[0] != int64(number) {
				t.Errorf("staged %v: batch %d has %d labels, images %v", staged, number, at.batch.Len(), images)
			}
			if separate := at.images != at.host; separate != staged {
				t.Errorf("staged %v: images have memory of their own: %v", staged, separate)
			}
			number++
		}
		if number != len(sizes) {
			t.Errorf("%d batches, want %d", number, len(sizes))
		}
	}
}

func TestFeederEnds(t *testing.T) {
	f := testFeeder(t, true)
	left := false
	endless := func(yield func(*data.Batch, error) bool) {
		defer func() { left = true }()
		for yield(&data.Batch{Images: make([]byte, 48), Labels: []int64{0}}, nil) {
		}
	}
	for range f.batches(t.Context(), endless, 0) {
		break
	}
	if !left {
		t.Error("the loader is still read after its reader has left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range f.batches(ctx, endless, 0) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after the end of the context: %v", last)
	}
	broken := errors.New("broken")
	for _, err := range f.batches(t.Context(), func(yield func(*data.Batch, error) bool) { yield(nil, broken) }, 0) {
		last = err
	}
	if !errors.Is(last, broken) {
		t.Errorf("the loader's error: %v", last)
	}
	for at, err := range f.batches(t.Context(), counted(make(chan int, 9), 1), 2) { // padded
		if err != nil || at.batch.Len() != 1 || at.images.Shape()[0] != 2 {
			t.Errorf("a short batch in the place of a larger one: %v, %v", at, err)
		}
	}
}

// halfOnCPU has a training run the float16 graphs of the cuda lowering, and go
// through device memory, on the CPU provider.
func halfOnCPU(cfg Config) Config {
	cfg.MixedPrecision = true
	cfg.adjust = func(d *device) { d.provider, d.staged = lower.CUDA, true }
	return cfg
}

func TestFloat16TrainsWithAScaledLoss(t *testing.T) {
	cfg := small(t)
	run(t, cfg)
	full, err := ReadState(cfg.Checkpoints.Dir + "/latest")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Checkpoints.Dir = t.TempDir()
	cfg = halfOnCPU(cfg)
	_, l := run(t, cfg)
	if a := of[Applied](l)[0]; !a.MixedPrecision || a.Precision != "float16" {
		t.Errorf("applied %v, %q", a.MixedPrecision, a.Precision)
	}
	half, err := ReadState(cfg.Checkpoints.Dir + "/latest")
	if err != nil {
		t.Fatal(err)
	}
	if d := half.Last.Metrics["loss"] - full.Last.Metrics["loss"]; !(d < 0.02 && d > -0.02) {
		t.Errorf("the last loss is %v in float16, %v in float32", half.Last.Metrics["loss"], full.Last.Metrics["loss"])
	}
	if s := half.LossScale; s == nil || s.Scale != firstScale || s.Good != int(half.GlobalStep) {
		t.Errorf("loss scale %+v after %d updates", s, half.GlobalStep)
	}
}

// The loss scale is part of the state.
func TestFloat16GoesOnAsIfNeverStopped(t *testing.T) {
	cfg := halfOnCPU(small(t))
	run(t, cfg)
	want := last(t, cfg)
	cfg.Checkpoints.Dir = t.TempDir()
	epochs, schedule := cfg.Epochs, cfg.Schedule
	cfg.Epochs, cfg.Schedule.Epochs = 1, epochs
	run(t, cfg)
	cfg.Epochs, cfg.Schedule, cfg.Resume = epochs, schedule, true
	run(t, cfg)
	same(t, last(t, cfg), want)
}

// A batch whose gradients overflow changes nothing but the scale.
func TestOverflowLeavesTheBatchOut(t *testing.T) {
	l := &eventLog{}
	tr, err := newTrainer(halfOnCPU(small(t)), l.observe)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if _, err := tr.begin(); err != nil {
		t.Fatal(err)
	}
	tr.state.LossScale.Scale = 1 << 40
	before := map[string][]float32{}
	for _, name := range tr.tensors.names {
		before[name] = slices.Clone(values(t, tr, name))
	}
	at := tr.feeder.places[8][0]
	step := func() {
		t.Helper()
		if err := tr.feeder.put(t.Context(), at, formulaBatch(0, 8, tr.state.Position)); err != nil {
			t.Fatal(err)
		}
		if err := tr.step(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	step()
	for name, want := range before {
		if !slices.Equal(values(t, tr, name), want) {
			t.Errorf("%s has changed", name)
		}
	}
	if s := tr.state; s.LossScale.Scale != 1<<39 || s.GlobalStep != 0 || s.Position != 8 || len(of[Message](l)) == 0 {
		t.Errorf("after the overflow: scale %v, %d updates, position %d, told %v", s.LossScale.Scale, s.GlobalStep, s.Position, of[Message](l))
	}
	tr.state.LossScale.Scale = 256
	step()
	if tr.state.GlobalStep != 1 || slices.Equal(values(t, tr, tr.model[0]), before[tr.model[0]]) {
		t.Error("a batch that does not overflow did not update")
	}
	tr.state.LossScale = &LossScale{Scale: 1 << 30, Good: scaleGrowsAt - 1}
	if over, err := tr.overflowed(tr.programs[stepKey{stepUpdate, 8}]); err != nil || over || tr.state.LossScale.Scale != 1<<31 {
		t.Errorf("after %d good updates the scale is %v (%v, %v)", scaleGrowsAt, tr.state.LossScale.Scale, over, err)
	}
	tr.state.LossScale = &LossScale{Scale: 1}
	if err := set(tr.programs[stepKey{stepUpdate, 8}].io[outSquare], []float32{float32(math.Inf(1))}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.overflowed(tr.programs[stepKey{stepUpdate, 8}]); !errors.Is(err, ErrNaN) {
		t.Errorf("overflow at the least scale: %v", err)
	}
}
