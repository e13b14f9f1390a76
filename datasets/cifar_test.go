package datasets_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/datasets"
)

// sharedData finds the real images that are not part of the project.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RUNNER_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is absent (RUNNER_TEST_DATA names the folder of real test images)", path)
	}
	return path
}

// unpack writes the files of a tar.gz into a new folder.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || strings.HasPrefix(filepath.Base(h.Name), "._") {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.Clean("/"+h.Name))
		put(t, path, content)
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRealImages(t *testing.T) {
	root := filepath.Join(unpack(t, sharedData(t, "cifar10-small.tar.gz")), "cifar10-small")
	cache := filepath.Join(t.TempDir(), "cache")
	first := datasets.Catalog{CacheFile: cache}
	start := time.Now()
	r, err := first.Inspect(context.Background(), imagefolder(root))
	if err != nil {
		t.Fatal(err)
	}
	cold := time.Since(start)
	if len(r.Classes) != 10 || r.Images != 3600 || len(r.Corrupt) != 0 {
		t.Errorf("%d classes, %d images, corrupt %v", len(r.Classes), r.Images, r.Corrupt)
	}
	for _, class := range r.Classes {
		if r.Counts["train"][class] != 300 || r.Counts["val"][class] != 60 {
			t.Errorf("%s: %d train, %d val; want 300, 60", class, r.Counts["train"][class], r.Counts["val"][class])
		}
	}
	again := datasets.Catalog{CacheFile: cache}
	start = time.Now()
	ix, err := again.Index(context.Background(), imagefolder(root))
	if err != nil {
		t.Fatal(err)
	}
	if ix.Fingerprint != r.Fingerprint || len(ix.Splits["train"]) != 3000 {
		t.Error("the second look, from the cache, differs")
	}
	t.Logf("first look %v, from the cache %v; %d duplicates, %d leaks", cold, time.Since(start), r.Duplicates, len(r.Leaks))
}
