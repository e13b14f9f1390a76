package crash

import (
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/engine/ort"
)

const nativePipeline = `
pipeline "crash" {}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = 16
}

train "a" {
  model         = model.m
  dataset       = dataset.d
  epochs        = 7
  batch_size    = 8
  learning_rate = 1e-3
  seed          = 7
  device        = "cpu"
  config {
    optimizer {
      type = "adamw"
    }
    scheduler {
      type = "cosine"
    }
    augmentation {
      enabled     = true
      random_flip = true
      random_crop = 2
      rotation    = 10
    }
    ema_decay = 0.9
  }
  checkpoint {
    keep_last = 100
  }
}
`

// TestNative kills real training of the real runner.
func TestNative(t *testing.T) {
	lib, err := ort.Find()
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	if testing.Short() {
		t.Skip("-short is set, and a real training takes seconds")
	}
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	l := newLab(t, nativePipeline, "RUNNER_ORT_LIB="+lib)
	l.program = []string{bin}
	l.images(16, 16, 4, "a", "b")
	began := time.Now()
	l.finish()
	took := time.Since(began)
	rows, weights := l.comparable(), l.weights()
	t.Logf("an uninterrupted training takes %.1f s and has %d rows", took.Seconds(), len(rows))
	t.Run("FiveTimes", func(t *testing.T) {
		l.t = t
		l.killedFiveTimes()
		sameRows(t, rows, l.comparable())
		if l.weights() != weights {
			t.Error("the weights differ from those of an uninterrupted training")
		}
	})
	t.Run("AtRandom", func(t *testing.T) {
		l.t = t
		killRounds(t, l, 4, took, rows, weights)
	})
}

// killedFiveTimes kills the step of one training in five epochs.
func (l *lab) killedFiveTimes() {
	l.t.Helper()
	l.forget()
	for n := range 5 {
		cmd, out := l.apply()
		for deadline := time.Now().Add(time.Minute); len(l.checkpoints()) <= n; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				l.t.Fatalf("no checkpoint of epoch %d within a minute\n%s", n+1, out)
			}
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		if len(l.steps()) == 0 {
			l.t.Fatalf("the training was over before kill %d", n+1)
		}
		l.endSteps()
		_ = cmd.Wait() // it fails, or tries again by itself
	}
	l.finish()
}

// comparable are the visible rows without those that tell of time.
func (l *lab) comparable() map[string]float64 {
	rows := l.rows(false)
	maps.DeleteFunc(rows, func(k string, _ float64) bool { return strings.Contains(k, "second") })
	return rows
}

// checkpoints lists the visible checkpoints of epochs.
func (l *lab) checkpoints() []string {
	paths, err := filepath.Glob(filepath.Join(l.dir, ".runner", "runs", "*", "checkpoints", "epoch_*"))
	if err != nil {
		l.t.Fatal(err)
	}
	return paths
}
