package cli_test

import (
	"context"
	"fmt"

	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/cli"
	"github.com/trainwright/trainwright/internal/golden"
	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/runner/executor/dagger/daggertest"
)

// TestMain lets the test binary be the runner: scripts start it as `runner`,
// and so do its own steps.
func TestMain(m *testing.M) {
	daggertest.Main()
	testscript.Main(m, map[string]func(){"runner": func() { os.Exit(runnerMain()) }})
}

// runnerMain is cli.Main with the fake adapters beside the real ones.
func runnerMain() int {
	steps := fake.Steps()
	steps[native.Name] = step.Run
	host := python.Host{Cache: os.Getenv("XDG_CACHE_HOME")}
	return cli.Run(context.Background(), cli.Config{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(),
		Adapters: append(adapters.Registry{native.Adapter{}, timm.New(host), ultralytics.New(host), transformers.New(host)}, fake.Registry()...),
		Steps:    steps,
		Now:      time.Now,
	})
}

// TestScripts runs every testdata/script/*.txtar: the command as users meet it.
// `go test ./internal/cli -update` rewrites their expectations.
func TestScripts(t *testing.T) {
	library, err := ort.Find() // in the real cache; scripts have one of their own
	if err != nil {
		library = ""
	}
	testscript.Run(t, testscript.Params{
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "ort":
				return library != "", nil
			case "postgres":
				return pgtest.Missing() == nil, nil
			case "python": // one with the adapters' packages
				return os.Getenv("RUNNER_TEST_PYTHON") != "", nil
			case "data": // real photographs, and the time for them
				return os.Getenv("RUNNER_TEST_DATA") != "" && os.Getenv("RUNNER_TEST_LONG") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       golden.Update(),
		RequireExplicitExec: true,
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("RUNNER_ORT_LIB", library)
			env.Setenv("PYTHON", os.Getenv("RUNNER_TEST_PYTHON"))
			env.Setenv("DATA", os.Getenv("RUNNER_TEST_DATA"))
			runner, err := exec.LookPath("runner")
			env.Setenv("RUNNER", runner)
			return err
		},
	})
}
