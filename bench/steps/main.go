// Command steps measures the native engine's training step: images per second
// and peak memory, on random images, printed as one line of JSON. bench/run.sh
// runs it in turn with steps.py, which measures PyTorch the same way.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/lower/layout"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/rng"
	"github.com/trainwright/trainwright/engine/zoo"
	"google.golang.org/protobuf/proto"
)

func main() {
	var c config
	flag.StringVar(&c.model, "model", "resnet18", "zoo model")
	flag.IntVar(&c.size, "size", 224, "image size")
	flag.IntVar(&c.batch, "batch", 32, "images per step")
	flag.IntVar(&c.classes, "classes", 100, "classes")
	flag.StringVar(&c.optimizer, "optimizer", "sgd", "update rule")
	flag.IntVar(&c.steps, "steps", 8, "steps to time, after two to warm up")
	flag.IntVar(&c.threads, "threads", runtime.NumCPU(), "threads")
	flag.BoolVar(&c.portable, "portable", false, "keep images in NCHW")
	flag.BoolVar(&c.spin, "spin", false, "let idle threads spin, which training does not")
	flag.Parse()
	r, err := measure(context.Background(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "steps:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

type config struct {
	model, optimizer            string
	size, batch, classes, steps int
	threads                     int
	portable, spin              bool
}

type result struct {
	Side      string  `json:"side"`
	Model     string  `json:"model"`
	Best      float64 `json:"best"`   // images/s of the fastest step
	Median    float64 `json:"median"` // images/s of the median step
	CPU       float64 `json:"cpu_s"`  // processor seconds of the median step: what a busy machine blurs least
	FirstStep float64 `json:"first_step_s"`
	PeakMB    int     `json:"peak_mb"`
	Loss      float32 `json:"loss"`
}

// build makes the step as training does: uint8 images in, loss out.
func build(c config) (*graph.Graph, []nn.Init, error) {
	info, err := zoo.Lookup(c.model)
	if err != nil {
		return nil, nil, err
	}
	g := graph.New("step")
	x := nn.Normalize(g, g.Input("images", graph.Uint8, c.batch, c.size, c.size, 3), info.Mean, info.Std)
	labels := g.Input("labels", graph.Int64, c.batch)
	b, err := zoo.Build(g, c.model, x, zoo.Options{NumClasses: c.classes, Training: true})
	if err != nil {
		return nil, nil, err
	}
	loss := nn.CrossEntropy(g, b.Logits, labels, 0)
	g.Output("loss", loss)
	params := g.Trainable()
	values := make([]graph.Value, len(params))
	for i, p := range params {
		values[i] = p.Value
	}
	grads, err := autodiff.Gradients(g, loss, values)
	if err != nil {
		return nil, nil, err
	}
	_, err = optim.Update(g, optim.Default(c.optimizer), params, grads)
	return g, b.Init, err
}

func measure(ctx context.Context, c config) (result, error) {
	r := result{Side: "native", Model: c.model}
	path, err := ort.Find()
	if err != nil {
		return r, err
	}
	rt, err := ort.Open(path)
	if err != nil {
		return r, err
	}
	start := time.Now()
	g, inits, err := build(c)
	if err != nil {
		return r, err
	}
	var o lower.Options
	if !c.portable {
		o.Block = layout.Block(ctx, rt)
	}
	model, err := lower.Model(g, lower.CPU, o)
	if err != nil {
		return r, err
	}
	raw, err := proto.Marshal(model)
	if err != nil {
		return r, err
	}
	session, err := rt.NewSession(raw, ort.Options{IntraThreads: c.threads, Optimization: ort.OptBasic, NoSpinning: !c.spin})
	if err != nil {
		return r, err
	}
	defer session.Close()
	s := &buffers{rt: rt, session: session, graph: g}
	if err := s.fill(c, nn.Values(inits, 1)); err != nil {
		return r, err
	}
	var took, busy []time.Duration
	for step := range c.steps + 2 {
		t, used := time.Now(), cpuTime()
		if step == 0 {
			t = start
		}
		if err := s.binds[step%2].Run(ctx); err != nil {
			return r, err
		}
		if step == 0 {
			r.FirstStep = time.Since(t).Seconds()
		}
		if step >= 2 {
			took = append(took, time.Since(t))
			busy = append(busy, cpuTime()-used)
		}
	}
	slices.Sort(took)
	slices.Sort(busy)
	r.CPU = busy[len(busy)/2].Seconds()
	r.Best = float64(c.batch) / took[0].Seconds()
	r.Median = float64(c.batch) / took[len(took)/2].Seconds()
	loss, err := ort.View[float32](s.loss)
	if err != nil {
		return r, err
	}
	r.Loss = loss[0]
	r.PeakMB, err = peakMB()
	return r, err
}

// buffers are a step's tensors: parameters and states twice, swapped each step.
type buffers struct {
	rt      *ort.Runtime
	session *ort.Session
	graph   *graph.Graph
	loss    *ort.Tensor
	binds   [2]*ort.Binding
}

func (s *buffers) fill(c config, initial map[string][]float32) error {
	sets := [2]map[string]*ort.Tensor{{}, {}}
	for _, v := range append(s.graph.Params(), s.graph.States()...) {
		for i := range sets {
			values := initial[v.Name]
			if values == nil {
				values = make([]float32, elements(s.graph.Shape(v.Value)))
			}
			t, err := ort.FromSlice(s.rt, ort.Float32, values, s.graph.Shape(v.Value)...)
			if err != nil {
				return err
			}
			sets[i][v.Name] = t
		}
	}
	fed, err := s.inputs(c)
	if err != nil {
		return err
	}
	if s.loss, err = s.rt.NewTensor(ort.Float32); err != nil {
		return err
	}
	for i := range s.binds {
		b, err := s.session.NewBinding()
		if err != nil {
			return err
		}
		for _, in := range s.session.Inputs() {
			t := fed[in.Name]
			if t == nil {
				t = sets[i][in.Name]
			}
			if err := b.Input(in.Name, t); err != nil {
				return err
			}
		}
		for _, a := range s.graph.Assigns() {
			if err := b.Output(lower.OutPrefix+a.Name, sets[1-i][a.Name]); err != nil {
				return err
			}
		}
		if err := b.Output("loss", s.loss); err != nil {
			return err
		}
		s.binds[i] = b
	}
	return nil
}

// inputs are one random batch and the optimizer's scalars.
func (s *buffers) inputs(c config) (map[string]*ort.Tensor, error) {
	draw := rng.New(1, "bench")
	images := make([]uint8, c.batch*c.size*c.size*3)
	for i := range images {
		images[i] = uint8(draw.Uint32())
	}
	labels := make([]int64, c.batch)
	for i := range labels {
		labels[i] = int64(draw.IntN(c.classes))
	}
	fed := map[string]*ort.Tensor{}
	var err error
	if fed["images"], err = ort.FromSlice(s.rt, ort.Uint8, images, c.batch, c.size, c.size, 3); err != nil {
		return nil, err
	}
	if fed["labels"], err = ort.FromSlice(s.rt, ort.Int64, labels, c.batch); err != nil {
		return nil, err
	}
	for _, v := range optim.Default(c.optimizer).Scalars(1e-3, 1) {
		if fed[v.Name], err = ort.FromSlice(s.rt, ort.Float32, []float32{v.Value}); err != nil {
			return nil, err
		}
	}
	return fed, nil
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
