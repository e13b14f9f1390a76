// Command accuracy trains a zoo model on an imagefolder with the native engine
// and leaves what bench/accuracy.py needs to train the same in PyTorch: the
// decoded pixels, the initial weights and the order of the samples of each
// epoch. It prints the last epoch's validation accuracy, and each epoch's training
// loss and validation accuracy, as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/image"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
)

// recipe is the training, as both sides read it.
type recipe struct {
	Model       string     `json:"model"`
	Size        int        `json:"size"`
	Classes     []string   `json:"classes"`
	Epochs      int        `json:"epochs"`
	Batch       int        `json:"batch"`
	Seed        int64      `json:"seed"`
	Optimizer   string     `json:"optimizer"`
	LR          float64    `json:"lr"`
	WeightDecay float64    `json:"weight_decay"`
	Momentum    float64    `json:"momentum"`
	Mean        [3]float32 `json:"mean"`
	Std         [3]float32 `json:"std"`
}

func main() {
	r := recipe{Momentum: 0.9}
	var root, out string
	flag.StringVar(&root, "data", "", "imagefolder with train/ and val/")
	flag.StringVar(&out, "out", "", "folder for what the other side needs")
	flag.StringVar(&r.Model, "model", "convnet", "zoo model")
	flag.IntVar(&r.Size, "size", 32, "image size")
	flag.IntVar(&r.Epochs, "epochs", 8, "epochs")
	flag.IntVar(&r.Batch, "batch", 64, "images per step")
	flag.Int64Var(&r.Seed, "seed", 1, "seed of weights and order")
	flag.StringVar(&r.Optimizer, "optimizer", "adamw", "update rule")
	flag.Float64Var(&r.LR, "lr", 1e-3, "base learning rate of a cosine schedule")
	flag.Float64Var(&r.WeightDecay, "weight-decay", 0.01, "weight decay")
	flag.Parse()
	if err := run(context.Background(), r, root, out); err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, r recipe, root, out string) error {
	info, err := zoo.Lookup(r.Model)
	if err != nil {
		return err
	}
	r.Mean, r.Std = info.Mean, info.Std
	trainSet, classes, err := list(filepath.Join(root, "train"))
	if err != nil {
		return err
	}
	valSet, valClasses, err := list(filepath.Join(root, "val"))
	if err != nil {
		return err
	}
	if len(classes) != len(valClasses) {
		return fmt.Errorf("train has %d classes, val %d", len(classes), len(valClasses))
	}
	r.Classes = classes
	if err := prepare(ctx, r, info, trainSet, valSet, out); err != nil {
		return err
	}
	c := optim.Default(r.Optimizer)
	c.WeightDecay, c.Momentum = r.WeightDecay, r.Momentum
	var losses, accuracies []float64
	start := time.Now()
	result, err := train.Run(ctx, train.Config{
		Model:  train.Model{Name: r.Model, ImageSize: r.Size, Classes: classes, Weights: filepath.Join(out, "initial.safetensors")},
		Train:  trainSet,
		Val:    valSet,
		Epochs: r.Epochs, BatchSize: r.Batch, Seed: r.Seed, Device: "cpu",
		Optimizer:   c,
		Schedule:    optim.Schedule{Type: "cosine", LearningRate: r.LR},
		Checkpoints: train.Checkpoints{Dir: filepath.Join(out, "checkpoints")},
	}, func(e train.Event) error {
		switch e := e.(type) {
		case train.EpochEnd:
			losses = append(losses, e.Loss)
		case train.Validation:
			accuracies = append(accuracies, e.Metrics["accuracy"])
		}
		return nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"side": "native", "model": r.Model, "seed": r.Seed, "accuracy": result.LastMetrics["accuracy"],
		"loss": result.LastMetrics["loss"], "seconds": time.Since(start).Seconds(),
		"train_loss": losses, "val_accuracy": accuracies,
	})
}

// prepare writes everything that decides the training into out.
func prepare(ctx context.Context, r recipe, info zoo.Model, trainSet, valSet []data.Sample, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	transform := image.Eval{Size: r.Size, CropPct: info.CropPct, Filter: image.Filter(info.Interpolation)}
	for name, set := range map[string][]data.Sample{"train": trainSet, "val": valSet} {
		if err := pixels(ctx, filepath.Join(out, name), set, transform); err != nil {
			return err
		}
	}
	loader, err := data.New(data.Config{Samples: trainSet, Transform: transform, BatchSize: r.Batch, Shuffle: true, Seed: uint64(r.Seed)})
	if err != nil {
		return err
	}
	order := make([][]int, r.Epochs)
	for e := range order {
		order[e] = loader.Order(e)
	}
	g := graph.New("initial")
	b, err := info.Build(g, g.Input("x", graph.Float32, 2, 3, r.Size, r.Size), zoo.Options{NumClasses: len(r.Classes), Training: true})
	if err != nil {
		return err
	}
	f := &weights.File{Tensors: map[string]weights.Tensor{}}
	values := nn.Values(b.Init, r.Seed)
	for _, i := range b.Init {
		f.Tensors[i.Name] = weights.Float32(i.Shape, values[i.Name])
	}
	if err := weights.Save(filepath.Join(out, "initial.safetensors"), f); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(out, "order.json"), order); err != nil {
		return err
	}
	return writeJSON(filepath.Join(out, "recipe.json"), r)
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
