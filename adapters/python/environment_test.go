package python_test

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/pipelines"
)

// wheel writes the smallest wheel of a package, which says its version.
func wheel(t *testing.T, folder, name, version string) {
	t.Helper()
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	files := map[string]string{
		name + "/__init__.py": fmt.Sprintf("__version__ = %q\n", version),
		info + "METADATA":     fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		info + "WHEEL":        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	record := info + "RECORD,,\n"
	for file := range files {
		record += file + ",,\n"
	}
	files[info+"RECORD"] = record
	f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version)))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for file, text := range files {
		w, err := z.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// tools runs a test with each of the tools that make environments, as far as
// they are here. uv may be beside the interpreter of the Python tests.
func tools(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	path := filepath.SplitList(os.Getenv("PATH"))
	beside := path
	if interpreter := os.Getenv("RUNNER_TEST_PYTHON"); interpreter != "" {
		beside = append([]string{filepath.Dir(interpreter)}, path...)
	}
	hasUV := func(folder string) bool {
		_, err := exec.LookPath(filepath.Join(folder, "uv"))
		return err == nil
	}
	t.Run("pip", func(t *testing.T) {
		t.Setenv("PATH", strings.Join(slices.DeleteFunc(slices.Clone(path), hasUV), string(filepath.ListSeparator)))
		if exec.Command("python3", "-c", "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))").Run() != nil {
			t.Skip("needs Python 3.11 or newer with venv and ensurepip, in a folder of PATH that has no uv")
		}
		test(t)
	})
	t.Run("uv", func(t *testing.T) {
		at := slices.IndexFunc(beside, hasUV)
		if at < 0 {
			t.Skip("needs uv, in PATH or beside RUNNER_TEST_PYTHON")
		}
		folder := t.TempDir()
		if err := os.Symlink(filepath.Join(beside[at], "uv"), filepath.Join(folder, "uv")); err != nil {
			t.Fatal(err)
		}
		// uv alone, and not what stands beside it, comes before the rest.
		t.Setenv("PATH", strings.Join(append([]string{folder}, path...), string(filepath.ListSeparator)))
		t.Setenv("UV_CACHE_DIR", filepath.Join(folder, "cache"))
		test(t)
	})
}

func environment(t *testing.T, requirements string, env map[string]string) python.Environment {
	t.Helper()
	return python.Environment{Adapter: "mine", Requirements: python.TextRequirements(requirements), Host: python.Host{
		Cache:  t.TempDir(),
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}}
}

func TestEnvironmentFromWheels(t *testing.T) { tools(t, fromWheels) }

func fromWheels(t *testing.T) {
	wheels := t.TempDir()
	wheel(t, wheels, "tinyframework", "1.2.0")
	wheel(t, wheels, "pydantic", "2.99.0") // what the SDK itself asks for
	e := environment(t, "tinyframework==1.2.0  # of the test\n", nil)
	o := adapters.PrepareOptions{Offline: true, Wheels: []string{wheels}}

	_, err := e.Interpreter()
	if err == nil || !strings.Contains(err.Error(), "runner init") {
		t.Fatalf("without an environment: %v", err)
	}
	if err := e.Make(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	interpreter, err := e.Interpreter()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(interpreter, "-c", "import tinyframework; print(tinyframework.__version__)").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "1.2.0" {
		t.Fatalf("the environment's package: %s, %v", out, err)
	}
	marker, err := os.Stat(filepath.Join(e.Dir(), "trainwright.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Twice is as good as once.
	if err := e.Make(t.Context(), adapters.PrepareOptions{Offline: true}); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(filepath.Join(e.Dir(), "trainwright.json")); err != nil || !again.ModTime().Equal(marker.ModTime()) {
		t.Errorf("a whole environment was made anew: %v", err)
	}
	// One that was cut short does not count.
	if err := os.Rename(filepath.Join(e.Dir(), "trainwright.json"), filepath.Join(e.Dir(), "other.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Interpreter(); err == nil {
		t.Error("an environment without its mark counts as whole")
	}
	other := environment(t, "tinyframework==1.3.0\n", nil)
	other.Host = e.Host
	if filepath.Base(other.Dir()) == filepath.Base(e.Dir()) {
		t.Error("other requirements share an environment")
	}
	err = other.Make(t.Context(), o)
	if pipelines.CodeOf(err) != pipelines.CodeUnavailable || !strings.Contains(err.Error(), "package tinyframework==1.3.0 is not there") || !strings.Contains(err.Error(), wheels) {
		t.Errorf("a missing package is told as: %v", err)
	}
	if _, err := other.Interpreter(); err == nil {
		t.Error("a failed environment counts as one")
	}
}

func TestFindLinksOfTheEnvironment(t *testing.T) { tools(t, findLinks) }

func findLinks(t *testing.T) {
	wheels := t.TempDir()
	wheel(t, wheels, "pydantic", "2.99.0")
	t.Setenv("PIP_FIND_LINKS", wheels) // pip reads it by itself
	e := environment(t, "", map[string]string{"PIP_FIND_LINKS": wheels})
	if err := e.Make(t.Context(), adapters.PrepareOptions{Offline: true}); err != nil {
		t.Error(err)
	}
}

func TestSharedInterpreter(t *testing.T) {
	here, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := environment(t, "torch==0.0.1\n", map[string]string{python.EnvPython: here})
	if got, err := e.Interpreter(); err != nil || got != here {
		t.Errorf("%s, %v", got, err)
	}
	if err := e.Make(t.Context(), adapters.PrepareOptions{}); err != nil {
		t.Errorf("with %s nothing is to be made: %v", python.EnvPython, err)
	}
	e = environment(t, "", map[string]string{python.EnvPython: "/nowhere/python"})
	if _, err := e.Interpreter(); err == nil || !strings.Contains(err.Error(), "/nowhere/python") {
		t.Errorf("a wrong %s is told as: %v", python.EnvPython, err)
	}
}
