// Command steps measures the native engine's training step: images per second
// and peak memory, on random images, printed as one line of JSON. bench/run.sh
// and bench/gpu.py run it in turn with steps.py, which measures PyTorch the
// same way.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train"
)

func main() {
	var c config
	flag.StringVar(&c.model, "model", "resnet18", "zoo model")
	flag.IntVar(&c.size, "size", 224, "image size")
	flag.IntVar(&c.batch, "batch", 32, "images per step")
	flag.IntVar(&c.classes, "classes", 100, "classes")
	flag.StringVar(&c.optimizer, "optimizer", "sgd", "update rule")
	flag.IntVar(&c.steps, "steps", 8, "steps to time, after two to warm up")
	flag.IntVar(&c.threads, "threads", 0, "threads; 0 = one for each processor")
	flag.StringVar(&c.device, "device", "cpu", "cpu, cuda or cuda:N")
	flag.BoolVar(&c.mixed, "mixed", false, "mixed precision, where the device is faster for it")
	flag.Parse()
	r, err := measure(context.Background(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "steps:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "steps:", err)
		os.Exit(1)
	}
}

type config struct {
	model, optimizer, device    string
	size, batch, classes, steps int
	threads                     int
	mixed                       bool
}

type result struct {
	Side      string  `json:"side"`
	Model     string  `json:"model"`
	Device    string  `json:"device"`
	Precision string  `json:"precision"`
	Best      float64 `json:"best"`   // images/s of the fastest step
	Median    float64 `json:"median"` // images/s of the median step
	CPU       float64 `json:"cpu_s"`  // processor seconds of the median step: what a busy machine blurs least
	FirstStep float64 `json:"first_step_s"`
	PeakMB    int     `json:"peak_mb"` // of host memory
	Loss      float64 `json:"loss"`
}

const warmUp = 2

func measure(ctx context.Context, c config) (result, error) {
	classes := make([]string, c.classes)
	for i := range classes {
		classes[i] = fmt.Sprint(i)
	}
	var busy []time.Duration
	last := cpuTime()
	s, err := train.Measure(ctx, train.Config{
		Model:  train.Model{Name: c.model, ImageSize: c.size, Classes: classes},
		Epochs: 1, BatchSize: c.batch, Seed: 1, Device: c.device, Threads: c.threads, MixedPrecision: c.mixed,
		Optimizer: optim.Default(c.optimizer), Schedule: optim.Schedule{Type: "none", LearningRate: 1e-3},
	}, c.steps+warmUp, func(int) {
		now := cpuTime()
		busy = append(busy, now-last)
		last = now
	})
	if err != nil {
		return result{}, err
	}
	r := result{Side: "native", Model: c.model, Device: s.Applied.Device, Precision: s.Applied.Precision,
		FirstStep: s.Steps[0].Seconds(), Loss: s.Loss}
	took := slices.Sorted(slices.Values(s.Steps[warmUp:]))
	busy = slices.Sorted(slices.Values(busy[warmUp:]))
	r.CPU = busy[len(busy)/2].Seconds()
	r.Best = float64(c.batch) / took[0].Seconds()
	r.Median = float64(c.batch) / took[len(took)/2].Seconds()
	r.PeakMB, err = peakMB()
	return r, err
}
