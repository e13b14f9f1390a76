package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/internal/cli"
)

// registry has the real adapters; what an example plans needs no Python.
var registry = adapters.Registry{native.Adapter{}, timm.New(python.Host{}), transformers.New(python.Host{}), ultralytics.New(python.Host{})}

// run executes a command line in this process and returns what it wrote.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(context.Background(), cli.Config{
		Args: args, Stdin: bytes.NewReader(nil), Stdout: &out, Stderr: &errs, Env: os.Environ(),
		Adapters: registry, Now: time.Now,
	})
	return code, out.String(), errs.String()
}

// Every example is valid, formatted, and can be planned on the sample images.
func TestExamples(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	data := filepath.Join(t.TempDir(), "data")
	if code, _, stderr := run(t, "dataset", "sample", "glyphs", data, "--per-class=20", "--val-per-class=4"); code != 0 {
		t.Fatal(stderr)
	}
	// A plan reads the kubeconfig; it asks no cluster.
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],`+
		`"users":[{"name":"c","user":{"token":"t"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	shapes := filepath.Join(t.TempDir(), "shapes")
	if code, _, stderr := run(t, "dataset", "sample", "shapes", shapes, "--train=24", "--val=8"); code != 0 {
		t.Fatal(stderr)
	}
	yolo := filepath.Join(t.TempDir(), "yolo")
	if code, _, stderr := run(t, "dataset", "sample", "shapes", yolo, "--format=yolo", "--train=24", "--val=8"); code != 0 {
		t.Fatal(stderr)
	}
	dirs, err := filepath.Glob("../../examples/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, dir := range dirs {
		if filepath.Base(dir) == "grafana" {
			continue // no pipeline; package web holds it against what it serves
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if code, _, stderr := run(t, "validate", dir); code != 0 {
				t.Errorf("validate: %s", stderr)
			}
			if code, stdout, _ := run(t, "fmt", "--check", "--diff", dir); code != 0 {
				t.Errorf("fmt: %s", stdout)
			}
			if tests, _ := filepath.Glob(filepath.Join(dir, "*.rtest.hcl")); len(tests) > 0 {
				if code, stdout, stderr := run(t, "test", dir); code != 0 {
					t.Errorf("test: %s%s", stdout, stderr)
				}
			}
			data := data
			switch filepath.Base(dir) {
			case "detection":
				data = shapes
			case "yolo":
				data = yolo
			}
			state := filepath.Join(t.TempDir(), "state.db")
			if code, stdout, stderr := run(t, "plan", "--var=data="+data, "--store="+state, dir); code != 0 {
				t.Errorf("plan: %s%s", stdout, stderr)
			}
		})
	}
}
