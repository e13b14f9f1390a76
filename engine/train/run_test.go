package train

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/ort"
)

func TestTrainingLearnsAndReports(t *testing.T) {
	cfg := small(t)
	cfg.Train = pictures(t, t.TempDir(), 93, 3)
	cfg.Epochs, cfg.BatchSize, cfg.Schedule.LearningRate = 6, 8, 3e-3
	r, l := run(t, cfg)
	if r.Metrics["accuracy"] < 0.9 {
		t.Errorf("accuracy %v after 6 epochs of stripes", r.Metrics["accuracy"])
	}
	if _, ok := l.events[0].(Applied); !ok {
		t.Errorf("the first event is %T, want Applied", l.events[0])
	}
	ends, vals, saved := of[EpochEnd](l), of[Validation](l), of[Saved](l)
	if len(ends) != 6 || len(vals) != 6 || len(saved) != 6 {
		t.Errorf("%d epoch ends, %d validations, %d checkpoints, want 6 of each", len(ends), len(vals), len(saved))
	}
	if ends[0].GlobalStep != 12 || ends[5].GlobalStep != 72 {
		t.Errorf("global steps %d and %d, want 12 and 72", ends[0].GlobalStep, ends[5].GlobalStep)
	}
	if !(ends[5].Loss < ends[0].Loss) || math.IsNaN(ends[5].Loss) {
		t.Errorf("training loss went from %v to %v", ends[0].Loss, ends[5].Loss)
	}
	if r.Model != filepath.Join(r.Best.Path, ModelFile) {
		t.Errorf("model at %q, best checkpoint at %q", r.Model, r.Best.Path)
	}
	last := of[Progress](l)
	if p := last[len(last)-1]; p.Step != 12 || p.Steps != 12 || p.Epoch != 6 {
		t.Errorf("last progress %+v", p)
	}
}

func TestMemoryThatRunsOutIsAdvisedOn(t *testing.T) {
	cfg := small(t)
	cfg.BatchSize = 77
	_, err := needRuntime(t).NewTensor(ort.Float32, 8_000_000, 8_000_000) // larger than any address space
	err = memoryAdvice(err, cfg)
	var from *ort.Error
	if !errors.As(err, &from) || !from.OutOfMemory() {
		t.Fatalf("%v is not known as memory that ran out", err)
	}
	for _, want := range []string{"batch_size (77", "gradient_accumulation", "image_size (16)", "smaller model than convnet"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if other := errors.New("other"); memoryAdvice(other, cfg) != other || memoryAdvice(nil, cfg) != nil {
		t.Error("advice on something else")
	}
}
