package cli_test

import (
	"context"

	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/internal/cli"
	"github.com/trainwright/trainwright/internal/golden"
)

// TestMain lets the test binary be the runner: scripts start it as `runner`,
// and so do its own steps.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runner": func() { os.Exit(runnerMain()) }})
}

// runnerMain is cli.Main with the fake adapters beside the real ones.
func runnerMain() int {
	return cli.Run(context.Background(), cli.Config{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(),
		Adapters: append(adapters.Registry{native.Adapter{}}, fake.Registry()...),
		Steps:    fake.Steps(),
		Now:      time.Now,
	})
}

// TestScripts runs every testdata/script/*.txtar: the command as users meet it.
// `go test ./internal/cli -update` rewrites their expectations.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       golden.Update(),
		RequireExplicitExec: true,
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("RUNNER_ORT_LIB", os.Getenv("RUNNER_ORT_LIB"))
			runner, err := exec.LookPath("runner")
			env.Setenv("RUNNER", runner)
			return err
		},
	})
}
