package dagger_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger"
)

// trainer is a step that keeps checkpoints: it goes on from the newest, writes
// three more, keeps two, and waits after the second.
func trainer(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	dir := filepath.Join(task.RunDir, "checkpoints")
	epoch := 0
	if b, err := os.ReadFile(filepath.Join(dir, "latest", "state.json")); err == nil {
		if err := json.Unmarshal(b, &epoch); err != nil {
			return err
		}
		if err := emit(pipelines.Event{Resumed: &pipelines.Resumed{Checkpoint: "latest", Epoch: epoch}}); err != nil {
			return err
		}
	}
	name := func(n int) string { return "epoch_" + string(rune('0'+n)) }
	for i := 0; i < 3; i++ {
		epoch++
		if err := emit(pipelines.Event{Metrics: &pipelines.Metrics{Epoch: epoch, Split: "train"}}); err != nil {
			return err
		}
		b, _ := json.Marshal(epoch)
		p := filepath.Join(dir, name(epoch))
		if err := os.MkdirAll(filepath.Join(p, "deep"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(p, "state.json"), b, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(p, "deep", "weights"), make([]byte, 1<<20), 0o644); err != nil {
			return err
		}
		_ = os.Remove(filepath.Join(dir, "latest"))
		if err := os.Symlink(name(epoch), filepath.Join(dir, "latest")); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(dir, name(epoch-2))); err != nil {
			return err
		}
		if err := emit(pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: name(epoch), Path: p, Epoch: epoch}}); err != nil {
			return err
		}
		if epoch == 2 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Minute):
			}
		}
	}
	art := filepath.Join(task.RunDir, "artifacts", "model.onnx")
	if err := os.MkdirAll(filepath.Dir(art), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(art, []byte("a model"), 0o644); err != nil {
		return err
	}
	return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted,
		Artifacts: []pipelines.Artifact{{Name: "model.onnx", Path: art}}}})
}

// TestCheckpointsLeaveTheContainer: a checkpoint is on this machine before its
// event is; when the client is killed, and even when the engine forgot its
// volumes, the next attempt goes on from it.
func TestCheckpointsLeaveTheContainer(t *testing.T) {
	engines(t, func(t *testing.T, c dagger.Config, fresh func()) {
		t.Run("volumes kept", func(t *testing.T) { testCheckpoints(t, c, nil) })
		if fresh != nil {
			t.Run("volumes lost", func(t *testing.T) { testCheckpoints(t, c, fresh) })
		}
	})
}

func testCheckpoints(t *testing.T, c dagger.Config, lose func()) {
	root := t.TempDir()
	x := newExecutor(t, c)
	job := newJob(t, root, "1", executable(t), "trainer")
	job.Task.RunID = runner.NewID(time.Now()) // an engine may have volumes of earlier tests
	checkpoints := filepath.Join(job.Task.RunDir, "checkpoints")
	second := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		exit, err := x.Run(context.Background(), job, func(_ context.Context, events []pipelines.Event) error {
			for _, e := range events {
				if e.Checkpoint == nil {
					continue
				}
				if b, err := os.ReadFile(filepath.Join(e.Checkpoint.Path, "state.json")); err != nil || len(b) == 0 {
					t.Errorf("%s is told of and not home: %v", e.Checkpoint.Name, err)
				}
				if e.Checkpoint.Epoch == 2 {
					close(second)
				}
			}
			return nil
		})
		if exit.Cause != pipelines.CauseInfrastructure {
			t.Errorf("killed client: exit %+v", exit)
		}
		done <- err
	}()
	select {
	case <-second:
	case <-time.After(time.Minute):
		t.Fatal("no second checkpoint")
	}
	if target, err := os.Readlink(filepath.Join(checkpoints, "latest")); err != nil || target != "epoch_2" {
		t.Errorf("latest is %q, %v", target, err)
	}
	killClient(t, job.Task.AttemptDir)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if lose != nil {
		lose()
	}
	var resumed []int
	again := newJob(t, root, "2", executable(t), "trainer")
	again.Task.RunID = job.Task.RunID
	exit, err := x.Run(context.Background(), again, func(_ context.Context, events []pipelines.Event) error {
		for _, e := range events {
			if e.Resumed != nil {
				resumed = append(resumed, e.Resumed.Epoch)
			}
		}
		return nil
	})
	if err != nil || exit.Code != 0 || exit.Message != "" {
		t.Fatalf("second attempt: %+v, %v", exit, err)
	}
	if !slices.Equal(resumed, []int{2}) {
		t.Errorf("resumed from %v", resumed)
	}
	list, err := os.ReadDir(checkpoints)
	var names []string
	for _, d := range list {
		names = append(names, d.Name())
	}
	if want := []string{"epoch_4", "epoch_5", "latest"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("checkpoints %v, %v; want %v", names, err, want)
	}
	if b, err := os.ReadFile(filepath.Join(again.Task.RunDir, "artifacts", "model.onnx")); string(b) != "a model" {
		t.Errorf("artifact: %q, %v", b, err)
	}
}

// killClient kills the client of an attempt as a machine out of memory would.
func killClient(t *testing.T, dir string) {
	t.Helper()
	var record struct{ Process struct{ PID int } }
	b, err := os.ReadFile(filepath.Join(dir, "process.json"))
	if err == nil {
		err = json.Unmarshal(b, &record)
	}
	if err == nil {
		err = syscall.Kill(record.Process.PID, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommand: a step block's outputs come home, an unchanged one is answered
// from the engine's cache and says so, and one that failed is run again.
func TestCommand(t *testing.T) {
	engines(t, func(t *testing.T, c dagger.Config, _ func()) { testCommand(t, c) })
}

func testCommand(t *testing.T, c dagger.Config) {
	root := t.TempDir()
	input := writeFile(t, filepath.Join(root, "raw", "a.txt"), "one")
	ran := filepath.Join(root, "ran.txt") // another text each time the command is run
	const cached = "not run again"
	var told []string
	run := func(attempt string, command ...string) (*pipelines.StepResult, string, string) {
		job := newJob(t, root, attempt)
		job.Task.Kind = pipelines.KindStep
		job.Task.Command = &pipelines.CommandSpec{Image: c.Image, Command: command,
			Inputs:  map[string]string{"raw": filepath.Dir(input)},
			Outputs: map[string]string{"clean": filepath.Join(root, "clean"), "ran": ran}}
		var result *pipelines.StepResult
		told = nil
		exit, err := newExecutor(t, c).Run(context.Background(), job, func(_ context.Context, events []pipelines.Event) error {
			for _, e := range events {
				if e.Result != nil {
					result = e.Result
				}
				if e.Message != nil {
					told = append(told, e.Message.Text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if exit.Images[c.Image] == "" && !filepath.IsAbs(c.Image) {
			t.Errorf("no digest of the image: %+v", exit)
		}
		log, err := os.ReadFile(filepath.Join(job.Task.AttemptDir, spool.LogFile))
		if err != nil {
			t.Fatal(err)
		}
		return result, exit.Message, string(log)
	}
	good := []string{"sh", "-c", "echo working; mkdir /outputs/clean; cp /inputs/raw/* /outputs/clean; cat /proc/sys/kernel/random/uuid > /outputs/ran"}
	var first string
	for i := range 2 { // the second is the same
		result, message, log := run(string(rune('1'+i)), good...)
		if result == nil || result.State != pipelines.StatusCompleted || result.Outputs["clean"] != filepath.Join(root, "clean") {
			t.Fatalf("result %+v, %s", result, message)
		}
		if b, err := os.ReadFile(filepath.Join(root, "clean", "a.txt")); string(b) != "one" {
			t.Errorf("output: %q, %v", b, err)
		}
		if !strings.Contains(log, "working") {
			t.Errorf("log: %q", log)
		}
		if i == 0 {
			first = text(t, ran)
		} else if text(t, ran) != first {
			t.Error("the unchanged command was run again")
		}
		if said := strings.Contains(strings.Join(told, "\n"), cached); said != (i > 0) {
			t.Errorf("run %d: said to be answered from the cache: %v, %q", i+1, said, told)
		}
		if err := os.RemoveAll(filepath.Join(root, "clean")); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, input, "two")
	if run("3", good...); text(t, ran) == first || len(told) > 0 {
		t.Errorf("a changed input, and the command was not run; %q", told)
	}
	var logs []string
	for _, attempt := range []string{"4", "6"} { // tried again, it is run again
		result, message, log := run(attempt, "sh", "-c", "cat /proc/sys/kernel/random/uuid; echo no luck; exit 3")
		if result != nil || !strings.Contains(message, "no luck") || len(told) > 0 {
			t.Errorf("a failed command: %+v, %q, %q", result, message, told)
		}
		logs = append(logs, log)
	}
	if logs[0] == logs[1] {
		t.Errorf("a failed command was answered from the cache: %q", logs)
	}
	if result, _, _ := run("5", "true"); result == nil || result.State != pipelines.StatusFailed || !strings.Contains(result.Error, "/outputs/clean") {
		t.Errorf("outputs not written: %+v", result)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTrouble: what is wrong with engine, image and devices is told, with what to do.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name   string
		break_ func(t *testing.T)
		config dagger.Config
		gpus   []int
		want   []string
	}{
		{"no program", func(t *testing.T) {
			unset(t, dagger.EnvSessionPort)
			unset(t, dagger.EnvCLI)
			t.Setenv("PATH", "/nowhere")
		}, dagger.Config{}, nil,
			[]string{"no dagger program", "install Dagger " + dagger.Version}},
		{"dead program", func(t *testing.T) { unset(t, dagger.EnvSessionPort); t.Setenv(dagger.EnvCLI, "/bin/false") }, dagger.Config{}, nil,
			[]string{"/bin/false reached no Dagger engine"}},
		{"old engine", nil, dagger.Config{Image: "v0.19.11"}, nil, []string{"engine is v0.19.11", dagger.Version}},
		{"no image", nil, dagger.Config{Image: "nowhere/nothing:1"}, nil, []string{"nowhere/nothing:1", "Check its name"}},
		{"no GPUs", nil, dagger.Config{}, []int{0}, []string{"NVIDIA Container Toolkit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := start(t)
			if c.name == "old engine" {
				engine.Version = c.config.Image
			}
			job := newJob(t, t.TempDir(), "1", executable(t), "executortest")
			job.Task.GPUs = c.gpus
			if c.break_ != nil {
				c.break_(t)
			}
			exit, err := newExecutor(t, c.config).Run(context.Background(), job, discard)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(exit.Message, want) {
					t.Errorf("no %q in %+v", want, exit)
				}
			}
			if exit.Cause != pipelines.CauseConfig && c.name != "dead program" {
				t.Errorf("cause %q", exit.Cause)
			}
		})
	}
}

// TestExamine: what doctor says of an engine, and what to do about it, once.
func TestExamine(t *testing.T) {
	for _, c := range []struct {
		name       string
		env        map[string]string
		text, help string
	}{
		{"all is well", nil, "engine " + dagger.Version + " answers", ""},
		{"an old engine", nil, "the Dagger engine is v0.19.11, and this runner speaks " + dagger.Version, "install Dagger " + dagger.Version},
		{"no program", map[string]string{dagger.EnvRunnerHost: "unix:///nowhere.sock", "PATH": "/nowhere"}, "there is no dagger program on this machine", "install Dagger " + dagger.Version},
		{"no engine", map[string]string{dagger.EnvRunnerHost: "unix:///nowhere.sock", dagger.EnvCLI: "/bin/false"}, "/bin/false reached no Dagger engine", "unix:///nowhere.sock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := start(t)
			if c.name == "an old engine" {
				engine.Version = "v0.19.11"
			}
			if c.env != nil {
				unset(t, dagger.EnvSessionPort)
				unset(t, dagger.EnvCLI)
			}
			for name, v := range c.env {
				t.Setenv(name, v)
			}
			f := dagger.Examine(context.Background(), 0)
			if len(f) != 1 || !strings.HasPrefix(f[0].Text, c.text) || strings.Contains(f[0].Text, "install") || !strings.Contains(f[0].Help, c.help) || (c.help == "") != (f[0].Help == "") {
				t.Errorf("%+v", f)
			}
		})
	}
}

// unset takes a variable out of the environment for a test.
func unset(t *testing.T, name string) {
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// TestCommandIsHeard: what a step block writes is in its log while it runs,
// and to stop it is to kill it.
func TestCommandIsHeard(t *testing.T) {
	engines(t, func(t *testing.T, c dagger.Config, _ func()) {
		job := newJob(t, t.TempDir(), "1")
		job.Grace = time.Second
		job.Task.Kind = pipelines.KindStep
		job.Task.Command = &pipelines.CommandSpec{Image: c.Image, Command: []string{"sh", "-c", "cat /proc/sys/kernel/random/uuid; echo begun; sleep 600"}}
		x := newExecutor(t, c)
		done := make(chan error, 1)
		go func() {
			exit, err := x.Run(context.Background(), job, discard)
			if exit.Code != spool.ExitCancelled {
				t.Errorf("cancelled: %+v", exit)
			}
			done <- err
		}()
		log := filepath.Join(job.Task.AttemptDir, spool.LogFile)
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if b, err := os.ReadFile(log); err == nil && strings.Contains(string(b), "begun\n") {
				break
			}
			if time.Now().After(end) {
				t.Fatal("nothing is heard of the command")
			}
		}
		if err := x.Cancel(context.Background(), job); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the command was not stopped")
		}
	})
}
