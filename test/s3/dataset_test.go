package s3_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/runner/blob/s3"
)

// A dataset under a prefix, and one in an archive, are fetched once, and give
// the fingerprint of the folder that they were made from.
func TestDatasetInBucket(t *testing.T) {
	server := startServer(t)
	folder := glyphs(t)
	blobs := server.open(t, s3.Config{})
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, p)
		if err != nil {
			return err
		}
		return blobs.Put(t.Context(), "sets/glyphs/"+filepath.ToSlash(rel), p)
	})
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "glyphs.tar.gz")
	if out, err := exec.Command("tar", "-czf", archive, "-C", filepath.Dir(folder), "glyphs").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	if err := blobs.Put(t.Context(), "sets/glyphs.tar.gz", archive); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, server, "s3://models/sets/glyphs")
	fingerprint := func(p string) string {
		for _, line := range strings.Split(m.run("dataset", "inspect", p), "\n") {
			if strings.Contains(line, "sha256:") {
				return strings.TrimSpace(line)
			}
		}
		t.Fatalf("dataset inspect %s shows no fingerprint", p)
		return ""
	}
	want := fingerprint(folder)
	for _, p := range []string{"s3://models/sets/glyphs", "s3://models/sets/glyphs.tar.gz", archive} {
		if got := fingerprint(p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
	if plan := m.run("plan"); !strings.Contains(plan, "+ train.base") {
		t.Errorf("plan:\n%s", plan)
	}
	// What was fetched is used although the bucket is away? It is not: what lies
	// there now is what is planned. The message names the address.
	server.stop()
	out, err := m.command("plan").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "s3://models") {
		t.Errorf("plan without the bucket: %v\n%s", err, out)
	}
	entries, err := os.ReadDir(filepath.Join(m.dir, "cache", "trainwright", "datasets", "incoming"))
	if err == nil && len(entries) > 0 {
		t.Errorf("%d files are left half fetched", len(entries))
	}
}
