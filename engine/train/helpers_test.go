package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/rng"
)

var classNames = []string{"horizontal", "vertical", "diagonal"}

// pictures writes n noisy 16 px pictures of stripes in three directions.
func pictures(t testing.TB, dir string, n int, seed uint64) []data.Sample {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	samples := make([]data.Sample, n)
	for i := range samples {
		r := rng.New(seed, "picture", uint64(i))
		m := image.NewRGBA(image.Rect(0, 0, 16, 16))
		phase, label := r.IntN(4), i%3
		for y := range 16 {
			for x := range 16 {
				at := [3]int{y, x, x + y}[label] + phase
				v := 60 + 120*float64(at/2%2) + 40*(r.Float64()-0.5)
				m.Set(x, y, color.RGBA{uint8(v), uint8(v * r.Uniform(0.5, 1)), uint8(v / 2), 255})
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.png", i))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		samples[i] = data.Sample{Path: path, Label: label}
	}
	return samples
}

// needRuntime skips a test where ONNX Runtime is missing.
func needRuntime(t testing.TB) *ort.Runtime {
	t.Helper()
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	rt, err := openRuntime("")
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// small is a quick training: 2 full batches of 8 and a remainder of 5.
func small(t testing.TB) Config {
	t.Helper()
	needRuntime(t)
	dir := t.TempDir()
	return Config{
		Model:  Model{Name: "convnet", ImageSize: 16, Classes: classNames},
		Train:  pictures(t, filepath.Join(dir, "train"), 21, 1),
		Val:    pictures(t, filepath.Join(dir, "val"), 11, 2),
		Epochs: 2, BatchSize: 8, Seed: 7, Threads: 1, Device: "cpu",
		Optimizer: optim.Default("adamw"),
		Schedule:  optim.Schedule{Type: "cosine", LearningRate: 1e-3},
		Checkpoints: Checkpoints{
			Dir: filepath.Join(dir, "checkpoints"), Interval: time.Hour,
		},
	}
}

// log collects events.
type eventLog struct{ events []Event }

func (l *eventLog) observe(e Event) error {
	l.events = append(l.events, e)
	return nil
}

func of[T Event](l *eventLog) []T {
	var out []T
	for _, e := range l.events {
		if v, ok := e.(T); ok {
			out = append(out, v)
		}
	}
	return out
}

func run(t testing.TB, cfg Config) (Result, *eventLog) {
	t.Helper()
	l := &eventLog{}
	r, err := Run(context.Background(), cfg, l.observe)
	if err != nil {
		t.Fatal(err)
	}
	return r, l
}

// viewOf reads a program's output.
func viewOf(p *program, name string) ([]float32, error) { return ort.View[float32](p.io[name]) }

// values returns the memory of a tensor of a training on the host.
func values(t testing.TB, tr *trainer, name string) []float32 {
	t.Helper()
	v, err := tr.tensors.read(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
