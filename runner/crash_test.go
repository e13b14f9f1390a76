package runner_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

// This test binary is also the runner and the step that TestKill9 kills.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "crash-step":
			os.Exit(spool.RunStep(context.Background(), os.Args[2], func(pipelines.Task) (spool.StepFunc, error) { return crashStep, nil }))
		case "crash-apply":
			if err := crashApply(os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

const crashEpochs = 20

// crashStep trains crashEpochs epochs of 20 ms, each with a metric and a
// checkpoint, and goes on from the newest checkpoint when told to.
func crashStep(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	if err := emit(pipelines.Event{ConfigApplied: applied(task)}); err != nil {
		return err
	}
	latest := filepath.Join(task.RunDir, "checkpoints", "latest")
	first := 1
	if b, err := os.ReadFile(latest); err == nil && task.Resume {
		done, _ := strconv.Atoi(string(b))
		first = done + 1
		if err := emit(pipelines.Event{Resumed: &pipelines.Resumed{Checkpoint: latest, Epoch: done, GlobalStep: int64(done)}}); err != nil {
			return err
		}
	}
	for epoch := first; epoch <= task.Train.Epochs; epoch++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		err := emit(pipelines.Event{Metrics: &pipelines.Metrics{Epoch: epoch, GlobalStep: int64(epoch), Split: "train", Values: map[string]float64{"loss": 1 / float64(epoch)}}})
		if err == nil {
			err = os.MkdirAll(filepath.Dir(latest), 0o755)
		}
		if err == nil {
			err = durable.WriteFile(latest, []byte(strconv.Itoa(epoch)), 0o644)
		}
		if err == nil {
			err = emit(pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: "latest", Path: latest, SHA256: strconv.Itoa(epoch), Epoch: epoch, GlobalStep: int64(epoch)}})
		}
		if err != nil {
			return err
		}
	}
	done := &pipelines.Checkpoint{Name: "best", Path: latest, SHA256: "done", Epoch: task.Train.Epochs}
	return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted, Best: done, Latest: done,
		Metrics: map[string]float64{"accuracy": 1}}})
}

// crashAdapter starts this binary as a step.
type crashAdapter struct{ *fakeAdapter }

func (a crashAdapter) Command(_ context.Context, path string) (adapters.Command, error) {
	exe, err := os.Executable()
	return adapters.Command{Argv: []string{exe, "crash-step", path}}, err
}

func crashRunner(dir string) (runner.Applier, *pipelines.Pipeline, error) {
	store, err := sqlite.Open(context.Background(), filepath.Join(dir, "state.db"))
	if err != nil {
		return runner.Applier{}, nil, err
	}
	s := train("a")
	s.spec.Train.Epochs = crashEpochs
	s.retry = pipelines.Retry{Attempts: 10, On: []pipelines.Cause{pipelines.CauseInfrastructure}}
	h := &house{dir: dir}
	return runner.Applier{
		Planner: runner.Planner{Store: store, Datasets: newFakeDatasets(), Adapters: adapters.Registry{crashAdapter{newFakeAdapter()}},
			Executor: func(pipelines.ExecutorConfig) (runner.Executor, error) {
				return &local.Executor{Poll: 5 * time.Millisecond}, nil
			}},
		Dir: filepath.Join(dir, ".runner"), RetryDelay: time.Millisecond, Poll: 5 * time.Millisecond,
	}, h.pipeline(s), nil
}

func crashApply(dir string) error {
	a, p, err := crashRunner(dir)
	if err != nil {
		return err
	}
	defer a.Store.Close()
	plan, err := a.Plan(context.Background(), p, runner.PlanOptions{})
	if err != nil {
		return err
	}
	_, err = a.Apply(context.Background(), plan, runner.ApplyOptions{LockTimeout: 5 * time.Second})
	return err
}

// Runners and steps are killed at random moments; in the end the run is
// complete, with every epoch on file once.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 6 {
		cmd := exec.Command(exe, "crash-apply", dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(60+random.IntN(120)) * time.Millisecond)
		if i%3 != 1 { // the runner, or both
			cmd.Process.Kill()
		}
		if i%3 != 0 { // the step, or both
			killStep(t, dir)
		}
		if i%3 == 1 {
			cmd.Process.Kill()
		}
		cmd.Wait()
	}
	if err := crashApply(dir); err != nil {
		t.Fatal(err)
	}
	a, p, err := crashRunner(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Store.Close()
	plan, err := a.Plan(t.Context(), p, runner.PlanOptions{})
	if err != nil || plan.Changes {
		t.Fatalf("after the last apply: %v, changes %v", err, plan.Changes)
	}
	runs, err := a.Store.Runs(t.Context(), runner.RunFilter{})
	if err != nil || len(runs) == 0 || runs[0].Status != pipelines.StatusCompleted {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	for _, r := range runs[1:] { // a runner that was killed before the first attempt leaves an empty run
		if at, err := a.Store.Attempts(t.Context(), r.ID); err != nil || len(at) > 0 || r.Status != pipelines.StatusCancelled {
			t.Errorf("another run %s, with %d attempts, %v", r.Status, len(at), err)
		}
	}
	rows, err := a.Store.Metrics(t.Context(), runner.MetricFilter{RunID: runs[0].ID, Name: "loss"})
	if err != nil || len(rows) != crashEpochs {
		t.Errorf("%d visible metric rows, %v; want %d", len(rows), err, crashEpochs)
	}
	for i, r := range rows {
		if r.Epoch != i+1 {
			t.Errorf("row %d is of epoch %d", i, r.Epoch)
		}
	}
	t.Logf("%d attempts", runs[0].Attempts)
}

// killStep kills the step of the newest attempt, if there is one at work.
func killStep(t *testing.T, dir string) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(dir, ".runner", "runs", "*", "attempts", "*", "process.json"))
	for _, path := range found {
		var rec struct{ Process struct{ PID int } }
		attempt := filepath.Dir(path)
		if held, err := spool.Held(attempt); err == nil && held && readJSON(path, &rec) == nil && rec.Process.PID > 0 {
			syscall.Kill(rec.Process.PID, syscall.SIGKILL)
		}
	}
}
