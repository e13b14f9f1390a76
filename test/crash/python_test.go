package crash

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/python"
)

const pythonPipeline = `
pipeline "crash" {}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  adapter    = "timm"
  name       = "test_resnet"
  task       = "image_classification"
  image_size = 32
}

train "a" {
  model         = model.m
  dataset       = dataset.d
  epochs        = 6
  batch_size    = 8
  learning_rate = 1e-3
  seed          = 7
  device        = "cpu"
  config {
    augmentation {
      enabled  = true
      rotation = 10
    }
    ema_decay = 0.9
  }
}
`

// TestPython kills a Python adapter's step, its runner, and both, in one
// training: it ends with the losses and weights of one that nobody disturbed.
func TestPython(t *testing.T) {
	interpreter := os.Getenv("RUNNER_TEST_PYTHON")
	if interpreter == "" {
		t.Skip("needs a Python with timm, named by RUNNER_TEST_PYTHON")
	}
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	l := newLab(t, pythonPipeline, python.EnvPython+"="+interpreter, "OMP_NUM_THREADS=1", "XDG_CACHE_HOME="+t.TempDir())
	l.program = []string{bin}
	l.images(32, 24, 8, "a", "b")
	l.finish()
	rows, weights := l.comparable(), l.torchWeights()
	l.forget()
	for n, kill := range []func(runner int){
		func(int) { l.endSteps() },
		func(runner int) { _ = syscall.Kill(-runner, syscall.SIGKILL) }, // its step lives, and is adopted
		func(runner int) { l.endSteps(); _ = syscall.Kill(-runner, syscall.SIGKILL); l.endSteps() },
	} {
		cmd, out := l.apply()
		for deadline := time.Now().Add(4 * time.Minute); len(l.checkpoints()) <= n; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no checkpoint of epoch %d within four minutes\n%s", n+1, out)
			}
		}
		if len(l.steps()) == 0 {
			t.Fatalf("the training was over before kill %d", n+1)
		}
		kill(cmd.Process.Pid)
		_ = cmd.Wait() // it was killed, or its step was
	}
	l.finish()
	sameRows(t, rows, l.comparable())
	if l.torchWeights() != weights {
		t.Error("the weights differ from those of an uninterrupted training")
	}
}

// torchWeights is the hash of the numbers in the run's latest checkpoint.
func (l *lab) torchWeights() string {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, ".runner", "runs", "*", "checkpoints", "latest.pth"))
	if err != nil || len(files) != 1 {
		l.t.Fatalf("latest checkpoints: %v, %v", files, err)
	}
	sum, err := adaptertest.WeightFiles(files[0])
	if err != nil {
		l.t.Fatal(err)
	}
	return hex.EncodeToString(sum)
}
