package cli_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/golden"
	"github.com/trainwright/trainwright/runner/executor/dagger/daggertest"
)

// TestDaggerScripts runs testdata/dagger/*.txtar against a stand-in for the
// engine, which really runs the commands of containers.
func TestDaggerScripts(t *testing.T) {
	library, err := ort.Find()
	if err != nil {
		t.Skip(err)
	}
	engine := daggertest.Start(t)
	engine.Images["debian:12-slim"] = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	engine.Images["debian:12-slim@sha256:0000000000000000000000000000000000000000000000000000000000000001"] = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "dagger"),
		UpdateScripts:       golden.Update(),
		RequireExplicitExec: true,
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("RUNNER_ORT_LIB", library)
			for name, v := range engine.Env() {
				env.Setenv(name, v)
			}
			example, err := filepath.Abs("../../examples/dagger/main.hcl")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLE", example)
			runner, err := exec.LookPath("runner")
			env.Setenv("RUNNER", runner)
			return err
		},
	})
}
