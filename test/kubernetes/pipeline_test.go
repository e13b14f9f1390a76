package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

// site is a pipeline's folder.
type site struct {
	t   *testing.T
	dir string
	env []string // of the runner, beside this process's
}

// newSite is a site on the volume that pods see.
func newSite(t *testing.T, pipeline string) *site {
	t.Helper()
	needCluster(t)
	return newSiteIn(t, folder(t), pipeline)
}

func newSiteIn(t *testing.T, dir, pipeline string) *site {
	t.Helper()
	s := &site{t: t, dir: dir}
	if err := os.WriteFile(filepath.Join(s.dir, "pipeline.hcl"), []byte(pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// block is the executor block of the tests.
func block(t *testing.T) string {
	t.Helper()
	needCluster(t)
	return fmt.Sprintf(`
executor "kubernetes" "lab" {
  kubeconfig = %q
  image      = "registry.invalid/runner:test"
  runner     = %q
  cpus       = 0.5
  memory     = "1Gi"
  volume {
    claim = "work"
    path  = %q
  }
}
`, lab.Kubeconfig, config("").Runner, work)
}

// runner starts the runner.
func (s *site) runner(args ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	out := &bytes.Buffer{}
	cmd := exec.Command(config("").Runner, append(args, "--no-color")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = s.dir, out, out, append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, out
}

func (s *site) apply(args ...string) string {
	s.t.Helper()
	cmd, out := s.runner(append([]string{"apply", "--auto-approve"}, args...)...)
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("apply: %v\n%s", err, out)
	}
	return out.String()
}

// runs are all runs by their step's address, with their attempts.
func (s *site) runs() (map[pipelines.Address]pipelines.Run, map[string][]pipelines.Attempt) {
	s.t.Helper()
	st, err := sqlite.Open(context.Background(), filepath.Join(s.dir, ".runner", "state.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer st.Close()
	list, err := st.Runs(context.Background(), runner.RunFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	runs, attempts := map[pipelines.Address]pipelines.Run{}, map[string][]pipelines.Attempt{}
	for _, r := range list {
		if attempts[r.ID], err = st.Attempts(context.Background(), r.ID); err != nil {
			s.t.Fatal(err)
		}
		if len(attempts[r.ID]) == 0 { // its runner was killed before it made one
			continue
		}
		if _, twice := runs[r.Address]; twice {
			s.t.Errorf("two runs of %s", r.Address)
		}
		runs[r.Address] = r
	}
	return runs, attempts
}

// rows are the visible metrics of each step: each key once.
func (s *site) rows() map[string]float64 {
	s.t.Helper()
	runs, _ := s.runs()
	st, err := sqlite.Open(context.Background(), filepath.Join(s.dir, ".runner", "state.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer st.Close()
	out := map[string]float64{}
	for address, r := range runs {
		rows, err := st.Metrics(context.Background(), runner.MetricFilter{RunID: r.ID})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range rows {
			if strings.Contains(m.Name, "second") { // measured time
				continue
			}
			key := fmt.Sprintf("%s %s/%s/%s@%d.%d", address, m.Split, m.Name, m.Class, m.Epoch, m.GlobalStep)
			if _, twice := out[key]; twice {
				s.t.Errorf("two rows of %s", key)
			}
			out[key] = m.Value
		}
	}
	return out
}

func (s *site) images(train, val int) {
	s.t.Helper()
	for split, n := range map[string]int{"train": train, "val": val} {
		for c, class := range []string{"a", "b"} {
			dir := filepath.Join(s.dir, "data", split, class)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				s.t.Fatal(err)
			}
			for i := range n {
				r := rand.New(rand.NewPCG(uint64(c), uint64(100*i+len(split))))
				img := image.NewRGBA(image.Rect(0, 0, 8, 8))
				for p := range 64 {
					v := uint8(r.IntN(100))
					img.Set(p%8, p/8, color.RGBA{v + uint8(150*c), v, 155 - v, 255})
				}
				var b bytes.Buffer
				if err := png.Encode(&b, img); err != nil {
					s.t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o600); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
}

const matrix = `
pipeline "matrix" {}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  adapter = "fake"
  name    = "tiny"
  task    = "image_classification"
}

train "a" {
  model      = model.m
  dataset    = dataset.d
  epochs     = 10
  batch_size = 4
  seed       = 7
  executor   = executor.%s.lab
  matrix = {
    "learning_rate"         = [0.1, 0.03, 0.01, 0.003]
    "config.optimizer.type" = ["sgd", "adamw"]
  }
  env = { %s = "%s" }
  retry {
    attempts = 10
  }
}
`

// TestMatrix trains eight instances as Jobs at once, while pods are killed,
// the API server is killed and started again, and the runner is killed. Every
// run ends well, with the metrics of one that nobody disturbed, each once.
func TestMatrix(t *testing.T) {
	needCluster(t)
	calm := newSite(t, fmt.Sprintf(matrix, "local", fake.EnvDelay, "0s")+`executor "local" "lab" {}`)
	calm.images(12, 3)
	calm.apply()
	want := calm.rows()

	s := newSite(t, fmt.Sprintf(matrix, "kubernetes", fake.EnvDelay, "250ms")+block(t))
	s.images(12, 3)
	first, out := s.runner("apply", "--auto-approve", "--parallelism=8")
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	atWork := func() (pods []string) {
		for _, n := range nodes {
			pods = append(pods, n.Running()...)
		}
		return pods
	}
	for end := time.Now().Add(2 * time.Minute); len(atWork()) < 8; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d pods at once, not 8\n%s", len(atWork()), out)
		}
	}
	kill := func() {
		for _, pod := range atWork() {
			namespace, name, _ := strings.Cut(pod, "/")
			for _, n := range nodes {
				if n.Kill(namespace, name, false) {
					return
				}
			}
		}
	}
	time.Sleep(2 * time.Second)
	kill()
	kill()
	lab.KillAPIServer()
	kill()
	time.Sleep(3 * time.Second)
	if err := lab.StartAPIServer(context.Background()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	_ = syscall.Kill(-first.Process.Pid, syscall.SIGKILL)
	if err := <-ended; err == nil {
		t.Error("the first apply was over before it was killed: the test shows too little")
	}
	kill()
	s.apply("--parallelism=8")

	runs, attempts := s.runs()
	if len(runs) != 8 {
		t.Errorf("%d runs, want 8", len(runs))
	}
	again := 0
	for address, r := range runs {
		if r.Status != pipelines.StatusCompleted {
			t.Errorf("%s: %s (%s)", address, r.Status, r.Error)
		}
		for _, a := range attempts[r.ID][:len(attempts[r.ID])-1] {
			again++
			if a.Cause != pipelines.CauseInfrastructure {
				t.Errorf("%s: attempt %d ended by %s: %s", address, a.Number, a.Cause, a.Error)
			}
		}
	}
	if again < 2 {
		t.Errorf("%d attempts were made again; pods were not killed in the middle", again)
	}
	got := s.rows()
	if len(want) < 100 || len(got) != len(want) {
		t.Errorf("%d visible rows, an undisturbed training has %d", len(got), len(want))
	}
	var differ []string
	for key, v := range want {
		if g, ok := got[key]; !ok || g != v {
			differ = append(differ, fmt.Sprintf("%s is %v (there: %v), want %v", key, g, ok, v))
		}
	}
	slices.Sort(differ)
	if len(differ) > 0 {
		t.Errorf("%d rows differ:\n%s", len(differ), strings.Join(differ[:min(8, len(differ))], "\n"))
	}
	t.Logf("%d rows of 8 runs, %d attempts made again", len(got), again)
}

const demo = `
pipeline "demo" {}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = 32
}

train "a" {
  model         = model.m
  dataset       = dataset.d
  epochs        = 2
  batch_size    = 8
  learning_rate = 1e-3
  seed          = 1
  executor      = executor.kubernetes.lab
}

evaluate "again" {
  checkpoint = train.a.best
  dataset    = dataset.d
  executor   = executor.kubernetes.lab
}
`

// TestNativeTraining trains a real network in a pod, and evaluates it in another.
func TestNativeTraining(t *testing.T) {
	needCluster(t)
	if len(imageEnv()) == 0 {
		t.Skip("no ONNX Runtime: make ort obtains it")
	}
	s := newSite(t, demo+block(t))
	s.images(24, 8)
	s.apply()
	runs, _ := s.runs()
	for _, address := range []pipelines.Address{"train.a", "evaluate.again"} {
		if r := runs[address]; r.Status != pipelines.StatusCompleted || r.Result == nil || r.Result.Metrics["accuracy"] == 0 {
			t.Errorf("%s: %+v", address, r)
		}
	}
	if out := s.apply(); !strings.Contains(out, "No changes") {
		t.Errorf("the second apply:\n%s", out)
	}
}

// TestDemo runs examples/glyphs, as it stands but for its executor, on the
// cluster: the command's images, the example's network, in a pod.
func TestDemo(t *testing.T) {
	needCluster(t)
	if len(imageEnv()) == 0 {
		t.Skip("no ONNX Runtime: make ort obtains it")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "glyphs", "main.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	placed := strings.Replace(string(text), "dataset.glyphs\n", "dataset.glyphs\n  executor      = executor.kubernetes.lab\n", 1)
	s := newSite(t, placed+block(t))
	sample, args := []string{"--per-class=20", "--val-per-class=4"}, []string{"--var=data=data", "--var=epochs=2"}
	if *whole {
		sample, args = nil, args[:1]
	}
	cmd, out := s.runner(append([]string{"dataset", "sample", "glyphs", "data"}, sample...)...)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	began := time.Now()
	cmd, out = s.runner(append([]string{"apply", "--auto-approve"}, args...)...)
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (*whole || !errors.As(err, &exit) || exit.ExitCode() != 5) { // two epochs fail the example's check
		t.Fatalf("apply: %v\n%s", err, out)
	}
	runs, _ := s.runs()
	r := runs["train.reader"]
	if r.Status != pipelines.StatusCompleted || r.Result == nil {
		t.Fatalf("train.reader: %s (%s)\n%s", r.Status, r.Error, out)
	}
	for _, rel := range []string{"report.html", "artifacts/model.onnx"} {
		if _, err := os.Stat(filepath.Join(r.Dir, rel)); err != nil {
			t.Error(err)
		}
	}
	t.Logf("accuracy %.4f in %s", r.Result.Metrics["accuracy"], time.Since(began).Round(time.Second))
}

// TestCancel: `runner cancel` reaches the pod from another process, and a
// later apply goes on from the checkpoint that the step wrote.
func TestCancel(t *testing.T) {
	s := newSite(t, strings.Replace(fmt.Sprintf(matrix, "kubernetes", fake.EnvDelay, "200ms")+block(t), `[0.1, 0.03, 0.01, 0.003]`, "[0.1]", 1))
	s.images(12, 3)
	cmd, out := s.runner("apply", "--auto-approve")
	var id string
	for end := time.Now().Add(time.Minute); id == ""; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no metrics\n%s", out)
		}
		if _, err := os.Stat(filepath.Join(s.dir, ".runner", "state.db")); err != nil {
			continue
		}
		runs, _ := s.runs()
		for _, r := range runs {
			if _, err := os.Stat(filepath.Join(r.Dir, "attempts", "1", "events.ndjson")); err == nil {
				id = r.ID
			}
		}
	}
	time.Sleep(time.Second)
	stop, told := s.runner("cancel", id)
	if err := stop.Wait(); err != nil {
		t.Fatalf("cancel: %v\n%s", err, told)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an apply whose step was cancelled ended well")
	}
	s.apply()
	runs, attempts := s.runs()
	for address, r := range runs {
		if r.Status != pipelines.StatusCompleted {
			t.Errorf("%s: %s", address, r.Status)
		}
		if r.ID == id && (len(attempts[id]) != 2 || attempts[id][0].Status != pipelines.StatusCancelled) {
			t.Errorf("attempts %+v", attempts[id])
		}
	}
}
