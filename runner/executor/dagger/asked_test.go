package dagger_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/internal/golden"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger"
)

// writeFile writes a file of a test.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func newJob(t *testing.T, root string, attempt string, argv ...string) runner.Job {
	t.Helper()
	run := filepath.Join(root, "runs", "r1")
	dir := filepath.Join(run, "attempts", attempt)
	job := runner.Job{Grace: 20 * time.Second, Command: adapters.Command{Argv: append(argv, filepath.Join(dir, "task.json"))},
		Task: pipelines.Task{Version: 1, Address: "train.a", RunID: "r1", Attempt: int(attempt[0] - '0'), Kind: pipelines.KindTrain, RunDir: run, AttemptDir: dir, Resume: attempt != "1"}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return job
}

// socket is the path of the attempt's socket on this machine.
var socket = regexp.MustCompile(`host\.unixSocket\("[^"]+/[0-9a-f]{16}\.sock"\)`)

func discard(context.Context, []pipelines.Event) error { return nil }

// TestAsked holds what is asked of the engine to goldens.
func TestAsked(t *testing.T) {
	engine := start(t)
	engine.GPUs = true
	engine.Pretend = []string{"pip", "python3"}
	engine.Images["python:3.12-slim"] = "sha256:2"
	engine.Images["ghcr.io/example/train:1"] = "sha256:3"
	engine.Images["alpine@sha256:4"] = "sha256:4"
	engine.Images["python@sha256:5"] = "sha256:5"
	root := t.TempDir()
	exe := executable(t)
	library := writeFile(t, filepath.Join(root, "lib", "libonnxruntime.so.1"), "no library")
	image := writeFile(t, filepath.Join(root, "data", "train", "cat", "1.png"), "an image")
	index, err := json.Marshal(pipelines.DatasetIndex{Splits: map[string][]pipelines.Sample{"train": {{Path: image}}}})
	if err != nil {
		t.Fatal(err)
	}
	train := func(name string) runner.Job {
		job := newJob(t, filepath.Join(root, name), "1", exe, "executortest")
		job.Command.Argv = append(job.Command.Argv, "done")
		job.Task.Dataset = &pipelines.TaskDataset{Path: filepath.Join(root, "data"), IndexPath: writeFile(t, filepath.Join(job.Task.AttemptDir, "dataset.json"), string(index))}
		job.Task.Model = &pipelines.ModelSpec{Weights: &pipelines.WeightsFile{Path: writeFile(t, filepath.Join(root, "w.safetensors"), "weights")}}
		job.Task.Train = &pipelines.TaskTrain{Start: &pipelines.Start{Checkpoint: pipelines.Checkpoint{Path: filepath.Dir(filepath.Dir(image))}}}
		job.Env = map[string]string{"B": "2", "A": "$HOME and \"quotes\""}
		job.Secrets = map[string]pipelines.Secret{"TOKEN": pipelines.NewSecret("t0ps3cret")}
		return job
	}
	gpu := train("gpu")
	gpu.Task.GPUs = []int{2, 3}
	gpu.Images = map[string]string{"python:3.12-slim": "python@sha256:5"}
	packages := train("python")
	packages.Container = &adapters.Container{Base: "python:3.12-slim", Folders: []string{filepath.Join(root, "lib")},
		Requirements: "torch\n"}
	packages.Command.Argv = []string{"python3", "-m", "platform_sdk.step"}
	step := newJob(t, filepath.Join(root, "step"), "1")
	step.Task.Kind, step.Task.Address = pipelines.KindStep, "step.prepare"
	step.Task.Command = &pipelines.CommandSpec{Image: "alpine:3", Command: []string{"sh", "-c", "echo $A; cp -r /inputs/raw /outputs/clean"},
		Inputs: map[string]string{"raw": filepath.Join(root, "data"), "list": image}, Outputs: map[string]string{"clean": filepath.Join(root, "clean")}}
	step.Images = map[string]string{"alpine:3": "alpine@sha256:4"}
	step.Env = map[string]string{"A": "1"}
	step.Secrets = map[string]pipelines.Secret{"TOKEN": pipelines.NewSecret("t0ps3cret")}

	for _, c := range []struct {
		name   string
		job    runner.Job
		config dagger.Config
	}{
		{"cpu", train("cpu"), dagger.Config{}},
		{"gpu", gpu, dagger.Config{Image: "ghcr.io/example/train:1", GPUs: 2, User: "0"}},
		{"rootfs", train("rootfs"), dagger.Config{Image: filepath.Join(root, "lib")}},
		{"archive", train("archive"), dagger.Config{Image: writeFile(t, filepath.Join(root, "image.tar"), "an image")}},
		{"python", packages, dagger.Config{}},
		{"step", step, dagger.Config{}},
	} {
		before := len(engine.Asked())
		x := newExecutor(t, c.config)
		x.Library, x.LibraryVersion = func() (string, error) { return library, nil }, "1.32.0"
		if _, err := x.Run(context.Background(), c.job, discard); err != nil {
			t.Fatal(err)
		}
		asked := strings.Join(engine.Asked()[before:], "\n\n")
		if strings.Contains(asked, "t0ps3cret") {
			t.Errorf("%s: a secret stands in what is asked", c.name)
		}
		asked = strings.NewReplacer(exe, "PROGRAM", root, "ROOT").Replace(socket.ReplaceAllString(asked, `host.unixSocket("SOCKET")`))
		golden.Equal(t, "asked_"+c.name+".txt", []byte(asked+"\n"))
	}
}
