package dagger_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger"
	"github.com/trainwright/trainwright/runner/executor/dagger/daggertest"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/local"
)

func TestMain(m *testing.M) {
	daggertest.Main()
	executortest.Main()
	if len(os.Args) == 3 {
		if os.Args[1] == "trainer" {
			os.Exit(spool.RunStep(context.Background(), os.Args[2], func(pipelines.Task) (spool.StepFunc, error) { return trainer, nil }))
		}
		switch os.Args[1] {
		case "container":
			os.Exit(dagger.Drive(context.Background(), os.Args[2]))
		case "relay":
			os.Exit(dagger.Relay(context.Background(), os.Args[2]))
		}
	}
	if len(os.Args) == 4 && os.Args[1] == "follow" {
		exe, err := os.Executable()
		if err != nil {
			panic(err)
		}
		executortest.Follow(&dagger.Executor{Config: dagger.Config{Image: os.Args[2]}, Host: &local.Executor{Poll: 10 * time.Millisecond}, Program: exe}, os.Args[3])
	}
	os.Exit(m.Run())
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func newExecutor(t *testing.T, c dagger.Config) *dagger.Executor {
	return &dagger.Executor{Config: c, Host: &local.Executor{Poll: 10 * time.Millisecond}, Program: executable(t)}
}

func start(t *testing.T) *daggertest.Engine {
	e := daggertest.Start(t)
	for name, v := range e.Env() {
		t.Setenv(name, v)
	}
	e.Images["debian:12-slim"] = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	return e
}

func TestExecutor(t *testing.T) {
	start(t)
	t.Setenv("RUNNER_TOKEN", "not for steps")
	executortest.Run(t, executortest.Harness{
		New:     func(t *testing.T) runner.Executor { return newExecutor(t, dagger.Config{}) },
		Program: []string{executable(t)}, Follower: []string{executable(t), "follow", dagger.DefaultImage},
		Slow:    30 * time.Second,
		Timeout: 8 * time.Second,
	})
}
