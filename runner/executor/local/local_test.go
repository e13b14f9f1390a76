package local_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/local"
)

func TestMain(m *testing.M) {
	executortest.Main()
	if len(os.Args) == 3 && os.Args[1] == "follow" {
		executortest.Follow(&local.Executor{}, os.Args[2])
	}
	os.Exit(m.Run())
}

func TestExecutor(t *testing.T) {
	t.Setenv("RUNNER_TOKEN", "not for steps")
	t.Setenv("DATABASE_URL", "not for steps either")
	executortest.Run(t, executortest.Harness{
		New:     func(*testing.T) runner.Executor { return &local.Executor{Poll: 10 * time.Millisecond} },
		Program: []string{executable(t)}, Follower: []string{executable(t), "follow"},
	})
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func newJob(t *testing.T, script ...string) runner.Job {
	t.Helper()
	run := t.TempDir()
	dir := filepath.Join(run, "attempts", "1")
	return runner.Job{
		Task:    pipelines.Task{Version: 1, Address: "train.a", RunID: "r", Attempt: 1, RunDir: run, AttemptDir: dir},
		Command: adapters.Command{Argv: append([]string{executable(t), "executortest", filepath.Join(dir, "task.json")}, script...)},
		Grace:   5 * time.Second,
	}
}

func TestCancelFindsAStepWithoutItsRecord(t *testing.T) {
	job, x := newJob(t, "say:up", "sleep:1m"), &local.Executor{Poll: 10 * time.Millisecond}
	seen := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := x.Run(context.Background(), job, func(context.Context, []pipelines.Event) error {
			select {
			case <-seen:
			default:
				close(seen)
			}
			return nil
		})
		done <- err
	}()
	<-seen
	if err := os.Remove(filepath.Join(job.Task.AttemptDir, "process.json")); err != nil {
		t.Fatal(err)
	}
	if err := x.Cancel(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWorkersLeftBehindAreEnded(t *testing.T) {
	job := newJob(t, "fork:1m", "done")
	var pid int
	_, err := (&local.Executor{}).Run(context.Background(), job, func(_ context.Context, events []pipelines.Event) error {
		for _, e := range events {
			if e.Message != nil {
				pid, _ = strconv.Atoi(e.Message.Text)
			}
		}
		return nil
	})
	if err != nil || pid == 0 {
		t.Fatal(pid, err)
	}
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d, forked by the step, outlived it", pid)
}

func TestProbe(t *testing.T) {
	x, root := &local.Executor{}, t.TempDir()
	for _, c := range []struct {
		name, dir string
		want      runner.Liveness
	}{
		{"never started", filepath.Join(root, "run", "attempts", "1"), runner.Ended},
		{"disk away", "/no/such/run/attempts/1", runner.Unknown},
	} {
		if c.want == runner.Ended {
			if err := os.MkdirAll(filepath.Join(root, "run"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		got, err := x.Probe(context.Background(), pipelines.Attempt{Dir: c.dir})
		if got != c.want || (err != nil) != (c.want == runner.Unknown) {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
	other := filepath.Join(root, "other")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "process.json"), []byte(`{"process":{"host":"elsewhere","pid":1,"boot_id":"b"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := x.Probe(context.Background(), pipelines.Attempt{Dir: other})
	if got != runner.Unknown || err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("an attempt of another host: %s, %v", got, err)
	}
}
