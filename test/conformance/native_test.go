// Package conformance runs the suite for adapters on the adapters that train.
package conformance

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// TestMain makes this test binary the program of native steps.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "step" {
		os.Exit(spool.RunStep(context.Background(), os.Args[2], func(pipelines.Task) (spool.StepFunc, error) { return step.Run, nil }))
	}
	os.Exit(m.Run())
}

var all = flag.Bool("all", false, "also change every field and attribute, which takes a minute or more")

func TestNative(t *testing.T) {
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	leave := map[string]string{}
	if !*all {
		for _, check := range []string{"EveryFieldCounts", "AttributesCount"} {
			leave[check] = "takes a minute or more; -all is not set"
		}
	}
	data := t.TempDir()
	index := writeImages(t, data, 40, 8)
	adaptertest.Run(t, adaptertest.Harness{
		Adapter: native.Adapter{},
		Task: func(string) (pipelines.Task, error) {
			s, _, _ := native.Adapter{}.Schema("image_classification")
			config := s.Defaults()
			inactive := s.Inactive(config)
			for name, v := range config {
				if _, off := inactive[name]; off || v == nil {
					delete(config, name)
				}
			}
			lr, _ := config["optimizer.learning_rate"].(float64)
			return pipelines.Task{
				Pipeline: "p", Address: "train.a", TaskType: "image_classification",
				Model:   &pipelines.ModelSpec{Name: "convnet", ImageSize: 12, NumClasses: 2},
				Dataset: &pipelines.TaskDataset{Name: "d", Format: "imagefolder", Path: data, Classes: []string{"bright", "dark"}, IndexPath: index},
				Train: &pipelines.TaskTrain{
					Epochs: 3, BatchSize: 7, LearningRate: lr, Seed: 3, Device: "cpu", NumWorkers: 1, Monitor: "accuracy", Mode: "max",
					Config: config, Checkpoint: pipelines.CheckpointPolicy{KeepLast: 100},
				},
			}, nil
		},
		With: map[string]map[string]any{
			"optimizer.weight_decay":    {"optimizer.type": "adamw"},
			"scheduler.T_max":           {"scheduler.T_max": int64(3)},
			"scheduler.eta_min":         {"scheduler.type": "cosine"},
			"scheduler.step_size":       {"scheduler.gamma": 0.5, "scheduler.step_size": int64(2)},
			"scheduler.gamma":           {"scheduler.step_size": int64(1)},
			"augmentation.random_flip":  {"augmentation.rotation": 3.0},
			"augmentation.enabled":      {"augmentation.rotation": 3.0, "augmentation.enabled": true},
			"augmentation.color_jitter": {"augmentation.color_jitter": 0.1},
		},
		Change: map[string]any{
			"scheduler.step_size":       int64(1),
			"scheduler.warmup_epochs":   int64(2),
			"augmentation.random_crop":  int64(2),
			"augmentation.rotation":     20.0,
			"augmentation.color_jitter": 0.5,
			"gradient_clip_value":       0.01,
			"optimizer.eps":             0.01,
		},
		Skip:        map[string]string{"early_stopping.patience": "changes the number of epochs only where the metric stands still; tested with the step"},
		Unsupported: map[string]any{"mixed_precision": true},
		Leave:       leave,
		Slow:        60 * time.Second,
	})
}

// writeImages makes noisy pictures of two classes and their index.
func writeImages(t *testing.T, dir string, train, val int) (index string) {
	t.Helper()
	out := pipelines.DatasetIndex{Name: "d", Format: "imagefolder", Classes: []string{"bright", "dark"}, Splits: map[string][]pipelines.Sample{}}
	for split, n := range map[string]int{"train": train, "val": val} {
		for i := range n {
			r := rand.New(rand.NewPCG(uint64(i), uint64(len(split))))
			img := image.NewRGBA(image.Rect(0, 0, 12, 12))
			for p := range 144 {
				v := uint8(r.IntN(120) + 100*(1-i%2))
				img.Set(p%12, p/12, color.RGBA{v, uint8(20 * (p % 12)), uint8(20 * (p / 12)), 255})
			}
			path := filepath.Join(dir, fmt.Sprintf("%s_%d.png", split, i))
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, img); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			out.Splits[split] = append(out.Splits[split], pipelines.Sample{Path: path, Label: i % 2})
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	index = filepath.Join(dir, "index.json")
	if err := os.WriteFile(index, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return index
}
