package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
)

// The deployed model says what validation said, whatever the batch size.
func TestDeployedModelAgreesWithValidation(t *testing.T) {
	cfg := small(t)
	cfg.EMADecay = 0.5
	r, l := run(t, cfg)
	vals := of[Validation](l)
	best := vals[slices.IndexFunc(vals, func(v Validation) bool { return v.Epoch == r.Best.Epoch })]
	for _, batch := range []int{1, 4, 11} {
		e, err := Evaluate(context.Background(), r.Model, cfg.Val, classNames, ModelOptions{BatchSize: batch, Threads: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Metrics["accuracy"] != best.Metrics["accuracy"] || math.Abs(e.Metrics["loss"]-best.Metrics["loss"]) > 1e-4 {
			t.Errorf("batch %d: %v, validation said %v", batch, e.Metrics, best.Metrics)
		}
	}
	e, err := Evaluate(context.Background(), r.Latest.Path, cfg.Val, classNames, ModelOptions{Threads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := vals[len(vals)-1].Metrics["loss"]; math.Abs(e.Metrics["loss"]-want) > 1e-4 {
		t.Errorf("latest checkpoint: loss %v, validation said %v", e.Metrics["loss"], want)
	}
}

func TestEvaluateMatchesClassesByName(t *testing.T) {
	cfg := small(t)
	r, _ := run(t, cfg)
	want, err := Evaluate(context.Background(), r.Model, cfg.Val, classNames, ModelOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	turned := []string{"diagonal", "horizontal", "vertical"}
	samples := slices.Clone(cfg.Val)
	for i := range samples {
		samples[i].Label = (samples[i].Label + 1) % 3
	}
	got, err := Evaluate(context.Background(), r.Model, samples, turned, ModelOptions{}, nil)
	if err != nil || got.Metrics["accuracy"] != want.Metrics["accuracy"] {
		t.Errorf("with classes in another order: %v, %v; want %v", got.Metrics, err, want.Metrics)
	}
	if _, err := Evaluate(context.Background(), r.Model, samples, []string{"diagonal", "dots", "vertical"}, ModelOptions{}, nil); err == nil || !strings.Contains(err.Error(), `"dots"`) {
		t.Errorf("an unknown class: got %v", err)
	}
}

func TestPredictGoesOnPastUnreadableFiles(t *testing.T) {
	cfg := small(t)
	r, _ := run(t, cfg)
	bad := filepath.Join(t.TempDir(), "bad.png")
	if err := os.WriteFile(bad, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "m.onnx")
	info, err := Export(r.Best.Path, out)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(info.Classes, classNames) || info.ImageSize != 16 || info.Task != "image_classification" {
		t.Errorf("metadata %+v", info)
	}
	got, _, err := Predict(context.Background(), out, []string{cfg.Val[0].Path, bad, "/nonexistent.png", cfg.Val[1].Path}, 2, ModelOptions{BatchSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got {
		if wantErr := i == 1 || i == 2; (p.Err != nil) != wantErr || (len(p.Classes) == 2) == wantErr {
			t.Errorf("%s: %v, %v", p.Path, p.Classes, p.Err)
		}
	}
	if p := got[0].Classes; p[0].Probability < p[1].Probability || p[0].Probability > 1 {
		t.Errorf("ranking %v", p)
	}
}

// Every model of the zoo deploys: standard operators, a free batch size, and
// the logits of its evaluation graph.
func TestEveryModelDeploys(t *testing.T) {
	rt := needRuntime(t)
	for _, m := range zoo.All {
		t.Run(m.Name, func(t *testing.T) {
			size := max(32, m.MinImageSize)
			size = (size + m.SizeMultiple - 1) / max(1, m.SizeMultiple) * max(1, m.SizeMultiple)
			model := Model{Name: m.Name, ImageSize: size, Classes: []string{"a", "b", "c"}}
			g, err := buildEval(model, 2)
			if err != nil {
				t.Fatal(err)
			}
			d, err := newDevice(rt, "cpu", 2)
			if err != nil {
				t.Fatal(err)
			}
			eval, err := compile(rt, g, d)
			if err != nil {
				t.Fatal(err)
			}
			defer eval.close()
			ts, err := newTensors(memory{rt: rt}, g)
			if err != nil {
				t.Fatal(err)
			}
			defer ts.close()
			bare := graph.New(m.Name)
			built, err := m.Build(bare, bare.Input("x", graph.Float32, 2, 3, size, size), zoo.Options{NumClasses: 3})
			if err != nil {
				t.Fatal(err)
			}
			if err := ts.setAll(nn.Values(built.Init, 1)); err != nil {
				t.Fatal(err)
			}
			images := make([]byte, 2*size*size*3)
			for i := range images {
				images[i] = byte(i * 37)
			}
			f, err := newFeeder(ts.memory, size, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			at := f.places[2][0]
			if err := f.put(t.Context(), at, &data.Batch{Images: images, Labels: []int64{0, 0}}); err != nil {
				t.Fatal(err)
			}
			b, err := eval.bind(ts, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := b.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			path := deployTo(t, ts, model)
			for _, batch := range []int{1, 2} {
				c, err := openClassifier(path, batch, ModelOptions{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.logits(context.Background(), images[:batch*size*size*3])
				if err != nil {
					t.Fatal(err)
				}
				want, err := viewOf(eval, outLogits)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if math.Abs(float64(got[i]-want[i])) > 1e-3*(1+math.Abs(float64(want[i]))) {
						t.Errorf("batch %d: logit %d is %v, evaluation says %v", batch, i, got[i], want[i])
					}
				}
				c.close()
			}
		})
	}
}

func deployTo(t *testing.T, ts *tensors, m Model) string {
	t.Helper()
	f := &weights.File{Tensors: map[string]weights.Tensor{}}
	for _, name := range ts.names {
		var err error
		if f.Tensors[name], err = ts.encode(name); err != nil {
			t.Fatal(err)
		}
	}
	model, err := deployable(SavedModel{Name: m.Name, ImageSize: m.ImageSize, Classes: m.Classes}, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range model.OpsetImport {
		if o.GetDomain() != onnx.Standard {
			t.Errorf("the deployed model needs operators of domain %q", o.GetDomain())
		}
	}
	bytes, err := onnx.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartFromAnotherRun(t *testing.T) {
	cfg := small(t)
	first, _ := run(t, cfg)
	next := cfg
	next.Epochs, next.Resume = 4, true
	next.Checkpoints.Dir = t.TempDir()
	next.Start = Start{Path: first.Latest.Path}
	r, l := run(t, next)
	if resumed := of[Resumed](l); len(resumed) != 1 || resumed[0].Epoch != 2 || r.Epochs != 4 {
		t.Errorf("resumed %+v and ended after epoch %d", resumed, r.Epochs)
	}
	// Going on is training through: the same as never having stopped.
	whole := cfg
	whole.Epochs, whole.Checkpoints.Dir = 4, t.TempDir()
	whole.Schedule.Epochs = 2 // the schedule of the first part
	next.Schedule.Epochs, next.Checkpoints.Dir = 2, t.TempDir()
	run(t, whole)
	run(t, next)
	for _, name := range []string{WeightsFile, trainingFile} {
		if last(t, next)[name] != last(t, whole)[name] {
			t.Errorf("%s differs from that of one long training", name)
		}
	}
}

func TestStartResetsPartsAndTakesWeights(t *testing.T) {
	cfg := small(t)
	first, _ := run(t, cfg)
	next := cfg
	next.Epochs, next.Checkpoints.Dir = 3, t.TempDir()
	next.Start = Start{Path: first.Latest.Path, Reset: []Part{PartOptimizer}}
	r, _ := run(t, next)
	s, err := ReadState(r.Latest.Path)
	if err != nil {
		t.Fatal(err)
	}
	if s.OptimizerStep != 3 || s.GlobalStep != 9 {
		t.Errorf("optimizer at step %d of %d, want 3 of 9", s.OptimizerStep, s.GlobalStep)
	}
	next.Checkpoints.Dir, next.Start = t.TempDir(), Start{Path: first.Best.Path, Weights: true}
	r, l := run(t, next)
	if r.GlobalStep != 9 || len(of[Resumed](l)) != 0 {
		t.Errorf("training from weights alone ended at step %d with %d resumes", r.GlobalStep, len(of[Resumed](l)))
	}
	next.Model.Classes = []string{"horizontal", "vertical", "diagonal", "none"}
	next.Checkpoints.Dir, next.Start = t.TempDir(), Start{Path: first.Best.Path, Weights: true}
	if _, l := run(t, next); !slices.ContainsFunc(of[Message](l), func(m Message) bool { return strings.Contains(m.Text, "re-headed") }) {
		t.Error("nobody was told that the classifier was re-headed")
	}
	next.Start.Weights = false
	if _, err := Run(context.Background(), next, (&eventLog{}).observe); err == nil || !strings.Contains(err.Error(), "classes") {
		t.Errorf("resume with other classes: got %v", err)
	}
	if _, err := checkpoint.Open(first.Best.Path); err != nil {
		t.Errorf("the first run's checkpoint was touched: %v", err)
	}
}
