package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// applied is the honest answer to a task.
func applied(t pipelines.Task) *pipelines.ConfigApplied {
	c := &pipelines.ConfigApplied{Values: map[string]any{}, Attributes: map[string]any{}, Proof: "objects"}
	if t.Train == nil {
		return c
	}
	maps.Copy(c.Values, t.Train.Config)
	c.Attributes["epochs"], c.Attributes["batch_size"] = t.Train.Epochs, t.Train.BatchSize
	c.Attributes["learning_rate"], c.Attributes["seed"] = t.Train.LearningRate, t.Train.Seed
	return c
}

// checkpoint writes a checkpoint's file and describes it.
func checkpoint(t pipelines.Task, name string, epoch int) *pipelines.Checkpoint {
	path := filepath.Join(t.RunDir, "checkpoints", name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	os.WriteFile(path, []byte(name), 0o644)
	return &pipelines.Checkpoint{Name: name, Path: path, SHA256: fmt.Sprintf("%s-%s-%d", t.RunID, name, epoch), Epoch: epoch, GlobalStep: int64(epoch) * 10}
}

func completed(t pipelines.Task) pipelines.Event {
	r := &pipelines.StepResult{State: pipelines.StatusCompleted, Metrics: map[string]float64{"accuracy": 0.8}}
	if t.Train != nil {
		r.Best, r.Latest = checkpoint(t, "best", t.Train.Epochs), checkpoint(t, "latest", t.Train.Epochs)
	}
	return pipelines.Event{Type: pipelines.EventResult, Result: r}
}

func trainWell(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	if t := job.Task.Train; t != nil {
		emit(pipelines.Event{Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: 1, GlobalStep: 10, Split: "train", Values: map[string]float64{"loss": 1}}})
		emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
	}
	emit(completed(job.Task))
	return runner.Exit{}
}

// sameWeights trains to weights that do not depend on anything.
func sameWeights(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	done := completed(job.Task)
	if done.Result.Best != nil {
		done.Result.Best.SHA256 = "the same"
	}
	emit(done)
	return runner.Exit{}
}

// train2 is a train step with another content key than train's.
func train2(name string) *trainStep {
	s := train(name)
	s.spec.Train.Seed = 2
	return s
}

func asString(v any) string { return fmt.Sprint(v) }

// trainUntil trains one epoch, then waits to be cancelled or killed.
func trainUntil(ctx context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
	emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
	emit(pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: checkpoint(job.Task, "latest", 1)})
	<-ctx.Done()
	emit(pipelines.Event{Type: pipelines.EventResult, Result: &pipelines.StepResult{State: pipelines.StatusCancelled}})
	return runner.Exit{Code: 130}
}

// failWith ends an attempt with a cause that the executor knows.
func failWith(cause pipelines.Cause) script {
	return func(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: applied(job.Task)})
		return runner.Exit{Code: -1, Signal: "killed", Cause: cause, Message: "it died"}
	}
}

// notices records what an observer is told.
type notices struct {
	mu   sync.Mutex
	list []runner.Notice
}

func (n *notices) Observe(x runner.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, x)
}

func (n *notices) types() []runner.NoticeType {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []runner.NoticeType
	for _, x := range n.list {
		out = append(out, x.Type)
	}
	return out
}

// message is that of the first notice of a type.
func (n *notices) message(of runner.NoticeType) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.list {
		if x.Type == of {
			return x.Message
		}
	}
	return ""
}

func (n *notices) wait(t *testing.T, want runner.NoticeType) {
	t.Helper()
	for range 400 {
		if slices.Contains(n.types(), want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never told %s; told %v", want, n.types())
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
