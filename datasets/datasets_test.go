package datasets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	stdimage "image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/pipelines"
)

// picture is a small PNG whose content follows from key.
func picture(t testing.TB, key string) []byte {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(key))
	v := h.Sum64()
	m := stdimage.NewNRGBA(stdimage.Rect(0, 0, 6, 4))
	for i := range 24 {
		m.SetNRGBA(i%6, i/6, color.NRGBA{byte(v >> (i % 8 * 8)), byte(v >> (i % 5 * 8)), byte(i), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write makes files under a new folder: "train/cat/3" stands for three
// pictures in train/cat, any other name for a file with that content.
func write(t testing.TB, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		dir, n := filepath.Split(name)
		var count int
		if _, err := fmt.Sscanf(n, "%d", &count); err != nil {
			put(t, filepath.Join(root, name), []byte(name))
			continue
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range count {
			put(t, filepath.Join(root, dir, fmt.Sprintf("%03d.png", i)), picture(t, fmt.Sprint(dir, i)))
		}
	}
	return root
}

func put(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func imagefolder(root string) pipelines.DatasetSpec {
	return pipelines.DatasetSpec{Name: "pets", Format: "imagefolder", Path: root}
}

func inspect(t *testing.T, spec pipelines.DatasetSpec) pipelines.DatasetReport {
	t.Helper()
	var c datasets.Catalog
	r, err := c.Inspect(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func index(t *testing.T, spec pipelines.DatasetSpec) pipelines.DatasetIndex {
	t.Helper()
	var c datasets.Catalog
	ix, err := c.Index(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func TestImageFolder(t *testing.T) {
	root := write(t, "train/dog/3", "train/cat/2", "val/cat/1", "val/dog/1", "test/dog/1", "train/cat/notes.txt", "train/cat/.hidden.png", "train/dog/old/1")
	r := inspect(t, imagefolder(root))
	if want := []string{"cat", "dog"}; !slices.Equal(r.Classes, want) {
		t.Errorf("classes = %v, want %v", r.Classes, want)
	}
	if r.Counts["train"]["dog"] != 4 || r.Counts["train"]["cat"] != 2 || r.Counts["test"]["cat"] != 0 || r.Images != 9 {
		t.Errorf("counts = %v of %d images", r.Counts, r.Images)
	}
	if r.MinSize != [2]int{6, 4} || r.MaxSize != [2]int{6, 4} || r.Bytes == 0 || r.Ignored[".txt"] != 1 {
		t.Errorf("sizes %v to %v, %d bytes, ignored %v", r.MinSize, r.MaxSize, r.Bytes, r.Ignored)
	}
	ix := index(t, imagefolder(root))
	if ix.Fingerprint != r.Fingerprint || !strings.HasPrefix(r.Fingerprint, "sha256:") {
		t.Errorf("fingerprints %s and %s", ix.Fingerprint, r.Fingerprint)
	}
	want := []pipelines.Sample{
		{Path: filepath.Join(root, "train/cat/000.png"), Label: 0},
		{Path: filepath.Join(root, "train/cat/001.png"), Label: 0},
		{Path: filepath.Join(root, "train/dog/000.png"), Label: 1},
		{Path: filepath.Join(root, "train/dog/001.png"), Label: 1},
		{Path: filepath.Join(root, "train/dog/002.png"), Label: 1},
		{Path: filepath.Join(root, "train/dog/old/000.png"), Label: 1},
	}
	if !reflect.DeepEqual(ix.Splits["train"], want) {
		t.Errorf("train = %v", ix.Splits["train"])
	}
}

func TestClassesSelectAndOrder(t *testing.T) {
	root := write(t, "train/a/1", "train/b/1", "train/c/1", "val/a/1", "val/b/1", "val/c/1")
	spec := imagefolder(root)
	all := index(t, spec)
	spec.Classes = []string{"c", "a"}
	ix := index(t, spec)
	if !slices.Equal(ix.Classes, []string{"c", "a"}) || len(ix.Splits["train"]) != 2 {
		t.Fatalf("classes %v, train %v", ix.Classes, ix.Splits["train"])
	}
	if s := ix.Splits["val"][0]; s.Label != 0 || !strings.Contains(s.Path, "/c/") {
		t.Errorf("first sample %+v, want label 0 for c", s)
	}
	if ix.Fingerprint == all.Fingerprint {
		t.Error("a selection of classes kept the fingerprint")
	}
}

func TestSplitIsStableStratifiedAndWhole(t *testing.T) {
	root := write(t, "a/20", "b/10", "c/2")
	spec := imagefolder(root)
	spec.Split = &pipelines.Split{Train: 0.7, Val: 0.2, Test: 0.1, Seed: 3, Stratify: true}
	r := inspect(t, spec)
	for split, want := range map[string][]int{"train": {14, 7}, "val": {4, 2}, "test": {2, 1}} {
		if got := []int{r.Counts[split]["a"], r.Counts[split]["b"]}; !slices.Equal(got, want) {
			t.Errorf("%s has %v of a and b, want %v", split, got, want)
		}
	}
	if r.Counts["train"]["c"] != 1 || r.Counts["val"]["c"] != 1 {
		t.Errorf("of two files of c %d train and %d val, want 1 and 1", r.Counts["train"]["c"], r.Counts["val"]["c"])
	}
	ix := index(t, spec)
	seen := map[string]bool{}
	for _, samples := range ix.Splits {
		for _, s := range samples {
			if seen[s.Path] {
				t.Errorf("%s stands in two splits", s.Path)
			}
			seen[s.Path] = true
		}
	}
	if len(seen) != 32 {
		t.Errorf("%d files used, want 32", len(seen))
	}
	moved := spec
	moved.Path = filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(moved.Path, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if got := inspect(t, moved).Fingerprint; got != r.Fingerprint {
		t.Error("a copy elsewhere is divided otherwise")
	}
	spec.Split = &pipelines.Split{Train: 0.7, Val: 0.2, Test: 0.1, Seed: 4, Stratify: true}
	if got := inspect(t, spec).Fingerprint; got == r.Fingerprint {
		t.Error("another seed divides the same way")
	}
}

func TestPathsAndUnion(t *testing.T) {
	one := write(t, "a/2", "b/2")
	two := write(t, "a/1", "b/1")
	paths := pipelines.DatasetSpec{Name: "p", Format: "dice", Paths: map[string]string{"train": one, "val": two}}
	r := inspect(t, paths)
	if r.Counts["train"]["a"] != 2 || r.Counts["val"]["b"] != 1 {
		t.Errorf("paths: counts %v", r.Counts)
	}
	more := write(t, "train/b/1", "train/c/1", "val/b/1", "val/c/1")
	union := pipelines.DatasetSpec{Name: "u", Union: []pipelines.DatasetSpec{paths, imagefolder(more)}}
	r = inspect(t, union)
	if !slices.Equal(r.Classes, []string{"a", "b", "c"}) || r.Counts["train"]["b"] != 3 || r.Counts["val"]["c"] != 1 {
		t.Errorf("union: classes %v, counts %v", r.Classes, r.Counts)
	}
	if r.Format != "dice" {
		t.Errorf("union: format %q", r.Format)
	}
}

func TestFingerprintFollowsContentAndNames(t *testing.T) {
	root := write(t, "train/a/2", "train/b/2", "val/a/1", "val/b/1")
	before := inspect(t, imagefolder(root)).Fingerprint
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if inspect(t, imagefolder(copied)).Fingerprint != before {
		t.Error("the same content in another place has another fingerprint")
	}
	put(t, filepath.Join(copied, "train/a/000.png"), picture(t, "other"))
	if inspect(t, imagefolder(copied)).Fingerprint == before {
		t.Error("changed content kept the fingerprint")
	}
	if err := os.Rename(filepath.Join(root, "train/a/001.png"), filepath.Join(root, "train/a/renamed.png")); err != nil {
		t.Fatal(err)
	}
	if inspect(t, imagefolder(root)).Fingerprint == before {
		t.Error("a renamed file kept the fingerprint")
	}
}

func TestCorruptFilesAreReportedAndLeftOut(t *testing.T) {
	root := write(t, "train/a/3", "train/b/3", "val/a/1", "val/b/1", "train/a/page.jpg")
	put(t, filepath.Join(root, "train/b/cut.png"), picture(t, "x")[:60])
	put(t, filepath.Join(root, "train/b/empty.gif"), nil)
	bomb := picture(t, "y")
	copy(bomb[16:24], []byte{0, 0, 0xff, 0xdc, 0, 0, 0xff, 0xdc}) // IHDR: 65500 x 65500
	put(t, filepath.Join(root, "val/a/bomb.png"), fixCRC(bomb))
	r := inspect(t, imagefolder(root))
	kinds := map[string]string{}
	for _, p := range r.Corrupt {
		kinds[filepath.Base(p.Path)] = p.Kind
		if p.Error == "" || strings.Contains(p.Error, root) {
			t.Errorf("%s: problem %q should say why, without the path", p.Path, p.Error)
		}
	}
	want := map[string]string{"page.jpg": "not_image", "cut.png": "corrupt", "empty.gif": "corrupt", "bomb.png": "bomb"}
	if !maps.Equal(kinds, want) {
		t.Errorf("problems %v, want %v", kinds, want)
	}
	for split, samples := range index(t, imagefolder(root)).Splits {
		for _, s := range samples {
			if kinds[filepath.Base(s.Path)] != "" {
				t.Errorf("%s lists the unusable %s", split, s.Path)
			}
		}
	}
}

func TestLeaksAndDuplicates(t *testing.T) {
	root := write(t, "train/a/2", "train/b/2", "val/a/1", "val/b/1")
	same := picture(t, "same")
	for _, name := range []string{"train/a/x.png", "train/a/y.png", "val/b/z.png"} {
		put(t, filepath.Join(root, name), same)
	}
	r := inspect(t, imagefolder(root))
	if r.Duplicates != 1 || len(r.Leaks) != 1 {
		t.Fatalf("%d duplicates, leaks %v; want 1 and 1", r.Duplicates, r.Leaks)
	}
	if l := r.Leaks[0]; !slices.Equal(l.Splits, []string{"train", "val"}) || len(l.Paths) != 3 || len(l.SHA256) != 64 {
		t.Errorf("leak = %+v", l)
	}
}

func TestProblemsAreNamed(t *testing.T) {
	ok := write(t, "train/a/1", "train/b/1", "val/a/1", "val/b/1")
	flat := write(t, "a/2", "b/2")
	half := pipelines.Split{Train: 0.5, Val: 0.5, Stratify: true}
	tests := []struct {
		name string
		spec pipelines.DatasetSpec
		kind datasets.Kind
		text string
	}{
		{"missing folder", imagefolder(ok + "s"), datasets.NotFound, "does not exist"},
		{"a file", imagefolder(filepath.Join(ok, "train/a/000.png")), datasets.NotAFolder, "is a file"},
		{"nothing in it", imagefolder(t.TempDir()), datasets.WrongFolder, "it is empty"},
		{"the folder above", imagefolder(filepath.Dir(ok)), datasets.WrongFolder, "did you mean " + ok},
		{"the class folder", imagefolder(filepath.Join(ok, "train/a")), datasets.WrongFolder, "did you mean " + ok},
		{"the train folder", imagefolder(filepath.Join(ok, "train")), datasets.MissingSplit, "split {"},
		{"flat, no split", imagefolder(flat), datasets.MissingSplit, "split {"},
		{"no val", imagefolder(write(t, "train/a/1", "valid/a/1")), datasets.MissingSplit, `there is "valid"`},
		{"flat dice", pipelines.DatasetSpec{Name: "pets", Format: "dice", Path: flat}, datasets.MissingSplit, `"train"`},
		{"no images", imagefolder(write(t, "train/a/x.tif", "train/b/y.tif", "val/a/z.tif")), datasets.NoImages, "3 with .tif"},
		{"unusable images", imagefolder(write(t, "train/a/x.png", "train/b/y.png", "val/a/z.png")), datasets.NoImages, "3 files cannot be used, the first is "},
		{"one class", imagefolder(write(t, "train/a/1", "val/a/1")), datasets.OneClass, `"a"`},
		{"empty class", imagefolder(write(t, "train/a/1", "train/b/1", "train/c/0", "val/a/1", "val/b/1", "val/c/1")), datasets.EmptyClass, `"c"`},
		{"class not in val", imagefolder(write(t, "train/a/1", "train/b/1", "val/a/1")), datasets.MissingClass, `"b"`},
		{"class only in val", imagefolder(write(t, "train/a/1", "train/b/1", "val/a/1", "val/b/1", "val/bb/1")), datasets.ExtraClass, `did you mean "b"`},
		{"unknown class", pipelines.DatasetSpec{Name: "pets", Path: ok, Classes: []string{"a", "q"}}, datasets.UnknownClass, `"q"`},
		{"unknown split", pipelines.DatasetSpec{Name: "pets", Paths: map[string]string{"trian": flat}}, datasets.UnknownSplit, `did you mean "train"`},
		{"paths without val", pipelines.DatasetSpec{Name: "pets", Paths: map[string]string{"train": flat}}, datasets.MissingSplit, "val"},
		{"split of a divided one", pipelines.DatasetSpec{Name: "pets", Path: ok, Split: &half}, datasets.BadSplit, "already"},
		{"fractions", pipelines.DatasetSpec{Name: "pets", Path: flat, Split: &pipelines.Split{Train: 0.9, Val: 0.3}}, datasets.BadSplit, "1.2"},
		{"later format", pipelines.DatasetSpec{Name: "pets", Format: "custom", Path: ok}, datasets.Unavailable, "not available in this version"},
		{"unknown format", pipelines.DatasetSpec{Name: "pets", Format: "imagefoldr", Path: ok}, datasets.Unavailable, `did you mean "imagefolder"`},
		{"transforms", pipelines.DatasetSpec{Name: "pets", Path: ok, Transforms: map[string]any{"flip": true}}, datasets.Unavailable, "transforms"},
		{"links in a circle", imagefolder(circle(t)), datasets.Unreadable, "a link to a folder above"},
		{"bucket", imagefolder("s3://bucket/pets"), datasets.Unavailable, "s3://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c datasets.Catalog
			_, err := c.Inspect(context.Background(), tt.spec)
			var e *datasets.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want a *datasets.Error", err)
			}
			if e.Kind != tt.kind || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), `dataset "pets"`) {
				t.Errorf("kind %s: %v; want %s with %q", e.Kind, err, tt.kind, tt.text)
			}
			if code := pipelines.CodeOf(err); code == pipelines.CodeInternal {
				t.Errorf("code %s", code)
			}
			if _, err := c.Index(context.Background(), tt.spec); err == nil {
				t.Error("Index took what Inspect refuses")
			}
		})
	}
}

func TestCacheSparesReadingButNotChanges(t *testing.T) {
	root := write(t, "train/a/2", "train/b/2", "val/a/1", "val/b/1")
	old := time.Now().Add(-time.Hour)
	changed := filepath.Join(root, "train/a/000.png")
	for _, dir := range []string{"train/a", "train/b", "val/a", "val/b"} {
		paths, _ := filepath.Glob(filepath.Join(root, dir, "*.png"))
		for _, p := range paths {
			if err := os.Chtimes(p, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "cache", "datasets")
	look := func() pipelines.DatasetReport {
		t.Helper()
		c := datasets.Catalog{CacheFile: file}
		r, err := c.Inspect(context.Background(), imagefolder(root))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := look()
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("no cache was written: %v", err)
	}
	// Content changed behind an unchanged stamp is what only the cache would not see.
	content, err := os.ReadFile(changed)
	if err != nil {
		t.Fatal(err)
	}
	put(t, changed, bytes.Repeat([]byte{0}, len(content)))
	if err := os.Chtimes(changed, old, old); err != nil {
		t.Fatal(err)
	}
	if again := look(); again.Fingerprint != first.Fingerprint || len(again.Corrupt) != 0 {
		t.Error("the second look read the files again")
	}
	if err := os.Chtimes(changed, old, old.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if again := look(); len(again.Corrupt) != 1 {
		t.Error("a changed time did not make the file be read again")
	}
	put(t, file, []byte("rubbish"))
	if again := look(); len(again.Corrupt) != 1 {
		t.Error("a broken cache file changed the result")
	}
}

func TestCancelStopsInspection(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var c datasets.Catalog
	if _, err := c.Inspect(ctx, imagefolder(write(t, "train/a/2", "train/b/2", "val/a/1", "val/b/1"))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestDetect(t *testing.T) {
	divided, err := datasets.Detect(write(t, "train/a/1", "val/a/1"))
	if err != nil || divided.Format != "imagefolder" || divided.Split != nil {
		t.Errorf("divided: %+v, %v", divided, err)
	}
	flat, err := datasets.Detect(write(t, "a/1", "b/1"))
	if err != nil || flat.Split == nil || !flat.Split.Stratify {
		t.Errorf("flat: %+v, %v", flat, err)
	}
	if yolo, err := datasets.Detect(write(t, "data.yaml")); err != nil || yolo.Format != "yolo" {
		t.Errorf("yolo: %+v, %v", yolo, err)
	}
	if _, err := datasets.Detect(t.TempDir()); err == nil {
		t.Error("an empty folder was taken for a dataset")
	}
}
