package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/rng"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/pipelines"
)

var classes = []string{"bright", "dark"}

// dataset writes small noisy pictures of two classes and their index.
func dataset(t testing.TB, dir string, train, val int) *pipelines.TaskDataset {
	t.Helper()
	index := pipelines.DatasetIndex{Name: "d", Classes: classes, Splits: map[string][]pipelines.Sample{}}
	for split, n := range map[string]int{"train": train, "val": val} {
		for i := range n {
			path := filepath.Join(dir, split, fmt.Sprintf("%03d.png", i))
			picture(t, path, rng.New(5, split, uint64(i)), i%2)
			index.Splits[split] = append(index.Splits[split], pipelines.Sample{Path: path, Label: i % 2})
		}
	}
	text, err := json.Marshal(index)
	must(t, err)
	path := filepath.Join(dir, "index.json")
	must(t, os.WriteFile(path, text, 0o600))
	return &pipelines.TaskDataset{Name: "d", Format: "imagefolder", Classes: classes, IndexPath: path}
}

func picture(t testing.TB, path string, r *rng.Stream, label int) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 12, 12))
	for y := range 12 {
		for x := range 12 {
			v := uint8(60 + 90*(1-label) + int(60*r.Float64()))
			m.Set(x, y, color.RGBA{v, uint8(20 * x), uint8(20 * y), 255})
		}
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	must(t, err)
	must(t, png.Encode(f, m))
	must(t, f.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// trainTask is a quick training with a preset's config, changed by change.
func trainTask(t testing.TB, change map[string]any) pipelines.Task {
	t.Helper()
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	s, _, ok := native.Adapter{}.Schema("image_classification")
	if !ok {
		t.Fatal("the native adapter has no schema")
	}
	config := map[string]any{}
	for _, f := range s.Fields {
		if f.Default != nil {
			config[f.Name] = f.Default
		}
	}
	maps.Copy(config, change)
	for _, f := range s.Fields { // drop what is inactive, as the runner does
		if !active(config, f.Condition) {
			delete(config, f.Name)
		}
	}
	dir := t.TempDir()
	return pipelines.Task{
		Version: 1, RunID: "r1", Attempt: 1, Kind: pipelines.KindTrain, Adapter: "native", TaskType: "image_classification",
		RunDir: filepath.Join(dir, "run"), AttemptDir: filepath.Join(dir, "run", "attempts", "1"),
		Model:   &pipelines.ModelSpec{Name: "convnet", ImageSize: 12},
		Dataset: dataset(t, dir, 22, 7),
		Train: &pipelines.TaskTrain{Epochs: 2, BatchSize: 8, LearningRate: config["optimizer.learning_rate"].(float64), Seed: 3,
			Device: "cpu", NumWorkers: 1, Monitor: "accuracy", Mode: "max", Config: config},
	}
}

// run runs a task and returns its events; the last is its result.
func run(t testing.TB, task pipelines.Task) []pipelines.Event {
	t.Helper()
	var events []pipelines.Event
	err := Run(context.Background(), task, func(e pipelines.Event) error {
		if _, err := json.Marshal(e); err != nil {
			return err
		}
		events = append(events, e)
		return nil
	})
	must(t, err)
	return events
}

func result(t testing.TB, events []pipelines.Event) pipelines.StepResult {
	t.Helper()
	if len(events) == 0 || events[len(events)-1].Result == nil {
		t.Fatal("the step ended without a result")
	}
	return *events[len(events)-1].Result
}

// fingerprint is a hash of the weights of a checkpoint.
func fingerprint(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path, train.WeightsFile))
	must(t, err)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
