// Package golden compares a test's output with a file kept beside it, and
// rewrites the file under `go test -update`.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "rewrite the expected outputs")

// Update reports whether expectations are rewritten in this run.
func Update() bool { return *update }

// Equal fails t when got is not what testdata/name holds.
func Equal(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("differs from %s (go test -update rewrites it):\n%s", path, diff.Diff("want", want, "got", got))
	}
}
