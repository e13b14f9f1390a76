package glyphs_test

import (
	"context"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/datasets/glyphs"
	"github.com/trainwright/trainwright/pipelines"
)

func write(t *testing.T, dir string, o glyphs.Options) int {
	t.Helper()
	n, err := glyphs.Write(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// contents maps relative paths to bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var b []byte
			b, err = os.ReadFile(filepath.Join(dir, path))
			out[path] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteMakesAnImageFolder(t *testing.T) {
	dir := t.TempDir()
	if n := write(t, dir, glyphs.Options{PerClass: 4, ValPerClass: 2}); n != 26*6 {
		t.Errorf("%d images, want %d", n, 26*6)
	}
	var c datasets.Catalog
	r, err := c.Inspect(context.Background(), pipelines.DatasetSpec{Name: "glyphs", Format: "imagefolder", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Classes) != 26 || r.Counts["train"]["A_upper"] != 4 || r.Counts["val"]["Z_upper"] != 2 {
		t.Errorf("classes %v, counts %v", r.Classes, r.Counts)
	}
	if r.MinSize != [2]int{32, 32} || r.Duplicates != 0 || len(r.Leaks) != 0 || len(r.Corrupt) != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestImagesDependOnSeedOnly(t *testing.T) {
	small := glyphs.Options{Classes: 3, PerClass: 3, ValPerClass: 1, ImageSize: 24, Seed: 5}
	a, b, more, other := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, a, small)
	write(t, b, small)
	bigger := small
	bigger.Classes, bigger.PerClass = 5, 6
	write(t, more, bigger)
	small.Seed = 6
	write(t, other, small)
	first, again, larger, reseeded := contents(t, a), contents(t, b), contents(t, more), contents(t, other)
	if len(first) != 12 {
		t.Fatalf("%d files, want 12", len(first))
	}
	for path, content := range first {
		if again[path] != content {
			t.Errorf("%s differs in a second run", path)
		}
		if larger[path] != content {
			t.Errorf("%s differs where more images are made", path)
		}
		if reseeded[path] == content {
			t.Errorf("%s is the same under another seed", path)
		}
	}
}

func TestWritingAgainTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	o := glyphs.Options{Classes: 2, PerClass: 1, ValPerClass: 1}
	write(t, dir, o)
	path := filepath.Join(dir, "train", "A_upper", "00000.png")
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	write(t, dir, o)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !info.ModTime().Equal(old) {
		t.Error("an image that was right already was written again")
	}
	o.Classes, o.PerClass = 2, 2
	write(t, dir, o)
	o.PerClass = 1
	if _, err := glyphs.Write(context.Background(), dir, o); err == nil || !strings.Contains(err.Error(), "00001.png") {
		t.Errorf("error %v, want one that names the image in the way", err)
	}
}

func TestEveryClassAndSize(t *testing.T) {
	dir := t.TempDir()
	if n := write(t, dir, glyphs.Options{Classes: glyphs.MaxClasses, PerClass: 1, ValPerClass: 1, ImageSize: 64}); n != 2*glyphs.MaxClasses {
		t.Errorf("%d images", n)
	}
	names := glyphs.ClassNames(glyphs.MaxClasses)
	lower := make([]string, len(names))
	for i, n := range names {
		lower[i] = strings.ToLower(n)
	}
	slices.Sort(lower)
	if len(slices.Compact(lower)) != glyphs.MaxClasses {
		t.Error("class folders collide where names ignore case")
	}
	f, err := os.Open(filepath.Join(dir, "val", "seven", "00000.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil || m.Bounds().Dx() != 64 || m.Bounds().Dy() != 64 {
		t.Errorf("image of %v, %v; want 64 x 64", m.Bounds(), err)
	}
}

func TestWrongOptions(t *testing.T) {
	for name, o := range map[string]glyphs.Options{
		"classes":    {Classes: 1},
		"classes+":   {Classes: 1000},
		"images":     {PerClass: -1},
		"image size": {ImageSize: 8},
		"font":       {Fonts: []string{"missing.ttf"}},
	} {
		if _, err := glyphs.Write(context.Background(), t.TempDir(), o); err == nil {
			t.Errorf("%s: no error for %+v", name, o)
		}
	}
}
