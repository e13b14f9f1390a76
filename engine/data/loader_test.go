package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdimage "image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/image"
)

// files writes n different pictures and returns them as samples with labels i%3.
func files(t testing.TB, n, size int) []data.Sample {
	t.Helper()
	dir := t.TempDir()
	samples := make([]data.Sample, n)
	for i := range samples {
		m := stdimage.NewNRGBA(stdimage.Rect(0, 0, size, size))
		for y := range size {
			for x := range size {
				m.SetNRGBA(x, y, color.NRGBA{byte(i), byte(x * 255 / size), byte(y * 255 / size), 255})
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.png", i))
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		samples[i] = data.Sample{Path: path, Label: i % 3}
	}
	return samples
}

func config(samples []data.Sample) data.Config {
	return data.Config{
		Samples:   samples,
		Transform: image.Eval{Size: 8, CropPct: 1, Filter: image.Bilinear},
		BatchSize: 4,
		Seed:      7,
	}
}

// run is everything that an epoch yielded.
type run struct {
	images, positions, indices []byte
	batches                    int
}

func collect(t *testing.T, cfg data.Config, epoch, position int) run {
	t.Helper()
	loader, err := data.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return collectFrom(t, loader, epoch, position)
}

func collectFrom(t *testing.T, loader *data.Loader, epoch, position int) run {
	t.Helper()
	var r run
	for b, err := range loader.Epoch(context.Background(), epoch, position) {
		if err != nil {
			t.Fatal(err)
		}
		r.images = append(r.images, b.Images...)
		r.positions = append(r.positions, byte(b.Position))
		for i, index := range b.Indices {
			r.indices = append(r.indices, byte(index))
			if want := int64(index % 3); b.Labels[i] != want {
				t.Errorf("sample %d has label %d, want %d", index, b.Labels[i], want)
			}
		}
		r.batches++
	}
	return r
}

var everything = data.Augment{RandomCrop: 2, RandomFlip: true, Rotation: 20, ColorJitter: 0.4}

func TestBatchesDoNotDependOnWorkersPrefetchOrCache(t *testing.T) {
	cfg := config(files(t, 22, 12))
	cfg.Shuffle, cfg.Augment = true, everything
	cfg.Workers, cfg.Prefetch = 1, 1
	want := collect(t, cfg, 3, 0)
	for _, v := range []struct {
		workers, prefetch int
		cache             int64
	}{{4, 3, 0}, {2, 1, 1 << 20}, {3, 5, 10 * 3 * 8 * 8}} {
		cfg.Workers, cfg.Prefetch, cfg.CacheBytes = v.workers, v.prefetch, v.cache
		loader, err := data.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, pass := range []string{"first", "second"} {
			if got := collectFrom(t, loader, 3, 0); !bytes.Equal(got.images, want.images) || !bytes.Equal(got.indices, want.indices) {
				t.Errorf("%+v, %s pass: other batches than with one worker", v, pass)
			}
		}
	}
}

func TestResumeContinuesTheEpochBitForBit(t *testing.T) {
	cfg := config(files(t, 22, 12))
	cfg.Shuffle, cfg.Augment = true, everything
	whole := collect(t, cfg, 1, 0)
	rest := collect(t, cfg, 1, int(whole.positions[2]))
	if !bytes.Equal(rest.indices, whole.indices[12:]) || !bytes.Equal(rest.images, whole.images[12*3*8*8:]) {
		t.Error("the resumed epoch differs from the rest of the uninterrupted one")
	}
	if end := collect(t, cfg, 1, 22); end.batches != 0 {
		t.Errorf("resuming at the end gave %d batches, want 0", end.batches)
	}
}

func TestEpochsDifferAndCoverEverySample(t *testing.T) {
	cfg := config(files(t, 22, 12))
	cfg.Shuffle, cfg.Augment = true, everything
	a, b := collect(t, cfg, 0, 0), collect(t, cfg, 1, 0)
	if bytes.Equal(a.indices, b.indices) {
		t.Error("two epochs have the same order")
	}
	cfg.Seed = 8
	if c := collect(t, cfg, 0, 0); bytes.Equal(a.indices, c.indices) {
		t.Error("two seeds give the same order")
	}
	slices.Sort(a.indices)
	for i, v := range a.indices {
		if int(v) != i {
			t.Fatalf("the epoch misses sample %d", i)
		}
	}
}

func TestRemainderBatch(t *testing.T) {
	cfg := config(files(t, 10, 8))
	if r := collect(t, cfg, 0, 0); r.batches != 3 || len(r.indices) != 10 || !bytes.Equal(r.positions, []byte{4, 8, 10}) {
		t.Errorf("keeping the remainder: %d batches at %v", r.batches, r.positions)
	}
	cfg.DropLast = true
	if r := collect(t, cfg, 0, 0); r.batches != 2 || len(r.indices) != 8 {
		t.Errorf("drop_last: %d batches of %d samples, want 2 of 8", r.batches, len(r.indices))
	}
	cfg.BatchSize = 11
	if _, err := data.New(cfg); err == nil || !strings.Contains(err.Error(), "drop_last") {
		t.Errorf("drop_last that drops everything: error %v, want one that says so", err)
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	cfg := config(files(t, 10, 8))
	bad := cfg.Samples[5].Path
	if err := os.WriteFile(bad, []byte("<html>not found</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	loader, err := data.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	var failure error
	for _, err := range loader.Epoch(context.Background(), 0, 0) {
		if err != nil {
			failure = err
			break
		}
		batches++
	}
	var sample *data.SampleError
	if !errors.As(failure, &sample) || sample.Path != bad || sample.Index != 5 {
		t.Fatalf("error %v, want a SampleError for %s", failure, bad)
	}
	if !strings.Contains(failure.Error(), bad) || !strings.Contains(failure.Error(), "HTML") {
		t.Errorf("message %q names neither the file nor what it is", failure)
	}
	if batches != 1 {
		t.Errorf("%d batches before the bad one, want 1", batches)
	}
}

func TestLeavingOrCancellingStopsTheWorkers(t *testing.T) {
	cfg := config(files(t, 30, 8))
	cfg.BatchSize, cfg.Workers = 2, 4
	loader, err := data.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range loader.Epoch(context.Background(), 0, 0) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for _, err := range loader.Epoch(ctx, 0, 0) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after a cancel the epoch ended with %v, want context.Canceled", last)
	}
	for range 50 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestAppliedReportsWhatWasBuilt(t *testing.T) {
	cfg := config(files(t, 10, 8))
	cfg.Augment, cfg.Shuffle, cfg.CacheBytes = everything, true, 4*3*8*8+1
	loader, err := data.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := loader.Applied()
	if got.Augment != everything {
		t.Errorf("augment = %+v, want %+v", got.Augment, everything)
	}
	if got.Cached != 4 || got.Batches != 3 || got.Transform != cfg.Transform || !got.Shuffle || got.Seed != 7 {
		t.Errorf("applied = %+v", got)
	}
}

func TestConfigErrors(t *testing.T) {
	good := config([]data.Sample{{Path: "a.png"}})
	for want, change := range map[string]func(*data.Config){
		"no samples":   func(c *data.Config) { c.Samples = nil },
		"batch size":   func(c *data.Config) { c.BatchSize = 0 },
		"image size":   func(c *data.Config) { c.Transform.Size = 0 },
		"crop_pct":     func(c *data.Config) { c.Transform.CropPct = 1.5 },
		"nearest":      func(c *data.Config) { c.Transform.Filter = "nearest" },
		"random_crop":  func(c *data.Config) { c.Augment.RandomCrop = 9 },
		"rotation":     func(c *data.Config) { c.Augment.Rotation = -1 },
		"color_jitter": func(c *data.Config) { c.Augment.ColorJitter = 2 },
		"label":        func(c *data.Config) { c.Samples = []data.Sample{{Label: -1}} },
	} {
		cfg := good
		change(&cfg)
		if _, err := data.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}
