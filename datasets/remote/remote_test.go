package remote_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trainwright/trainwright/datasets/remote"
)

// bucket is object storage in memory that counts what is fetched.
type bucket struct {
	mu      sync.Mutex
	objects map[string]string
	gets    int
	fail    error
}

func (b *bucket) List(_ context.Context, prefix string) ([]remote.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []remote.Object
	for k, v := range b.objects {
		if strings.HasPrefix(k, prefix) {
			out = append(out, remote.Object{Key: k, Size: int64(len(v)), ETag: fmt.Sprintf("%x", v)})
		}
	}
	return out, nil
}

func (b *bucket) Get(_ context.Context, key, file string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil && b.gets >= 1 {
		return b.fail
	}
	b.gets++
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.objects[key]), 0o644)
}

func newCache(t *testing.T, b *bucket) *remote.Cache {
	return &remote.Cache{Dir: t.TempDir(), Open: func(_ context.Context, name string) (remote.Source, error) {
		if name != "data" {
			return nil, fmt.Errorf("there is no bucket %s", name)
		}
		return b, nil
	}}
}

// tree is the content of a folder, "path=content" in order.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out = append(out, rel+"="+string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestBucketIsFetchedOnce(t *testing.T) {
	b := &bucket{objects: map[string]string{"pets/train/cat/1.png": "c1", "pets/train/dog/1.png": "d1", "pets/val/cat/2.png": "c1", "petsother/x": "no"}}
	c := newCache(t, b)
	var total int64
	c.Progress = func(_ string, _, n int64) { total = n }
	dir, err := c.Fetch(t.Context(), "s3://data/pets")
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != "train/cat/1.png=c1 train/dog/1.png=d1 val/cat/2.png=c1" {
		t.Errorf("got %s", got)
	}
	if b.gets != 3 || total != 6 {
		t.Errorf("%d objects fetched, %d bytes announced", b.gets, total)
	}
	// Another process: nothing is fetched again; then one object changes.
	again := &remote.Cache{Dir: c.Dir, Open: c.Open}
	if same, err := again.Fetch(t.Context(), "s3://data/pets/"); err != nil || same != dir || b.gets != 3 {
		t.Errorf("%s, %v, %d objects fetched", same, err, b.gets)
	}
	b.objects["pets/train/dog/1.png"] = "d2"
	changed, err := (&remote.Cache{Dir: c.Dir, Open: c.Open}).Fetch(t.Context(), "s3://data/pets")
	if err != nil || b.gets != 4 || !strings.Contains(tree(t, changed), "d2") {
		t.Errorf("after a change: %v, %d objects fetched", err, b.gets)
	}
	if strings.Contains(tree(t, dir), "d2") {
		t.Error("the older version changed too")
	}
}

func TestInterruptedFetchGoesOn(t *testing.T) {
	b := &bucket{objects: map[string]string{"p/a/1": "1", "p/b/2": "22", "p/c/3": "333"}, fail: errors.New("cut")}
	c := newCache(t, b)
	if _, err := c.Fetch(t.Context(), "s3://data/p"); err == nil {
		t.Fatal("a broken fetch went well")
	}
	before := b.gets
	b.fail = nil
	if _, err := c.Fetch(t.Context(), "s3://data/p"); err != nil || b.gets != 3 {
		t.Errorf("%v; %d objects fetched before, %d in all, want 3", err, before, b.gets)
	}
}

func TestBadAddresses(t *testing.T) {
	c := newCache(t, &bucket{objects: map[string]string{"bad/../../x": "x"}})
	for address, want := range map[string]string{
		"s3://data/nothing": "nothing under", "gs://data/x": "no address", "s3:///x": "no address", "s3://none/x": "no bucket",
		"s3://data/bad": "no name of a file", "/absent/data.zip": "no file", "s3://data/absent.tar": "not there",
	} {
		if _, err := c.Fetch(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if dir, err := c.Fetch(t.Context(), "/some/folder"); err != nil || dir != "/some/folder" {
		t.Errorf("a folder became %q, %v", dir, err)
	}
}

type entry struct {
	name, content string
	link          byte
}

func tarOf(entries ...entry) string {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.link != 0 {
			h.Typeflag, h.Linkname, h.Size = e.link, e.content, 0
		}
		_ = w.WriteHeader(h)
		if e.link == 0 {
			_, _ = w.Write([]byte(e.content))
		}
	}
	_ = w.Close()
	return buf.String()
}

func zipOf(entries ...entry) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.link != 0 {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, _ := w.CreateHeader(h)
		_, _ = f.Write([]byte(e.content))
	}
	_ = w.Close()
	return buf.String()
}

func gz(s string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return buf.String()
}

func TestArchives(t *testing.T) {
	files := []entry{{name: "pets/train/cat/1.png", content: "c"}, {name: "pets/val/dog/2.png", content: "d"}}
	for name, content := range map[string]string{"x.zip": zipOf(files...), "x.tar": tarOf(files...), "x.tar.gz": gz(tarOf(files...)), "X.TGZ": gz(tarOf(files...))} {
		local := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(local, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		c := newCache(t, &bucket{objects: map[string]string{"sets/" + name: content}})
		for _, p := range []string{local, "s3://data/sets/" + name} {
			dir, err := c.Fetch(t.Context(), p)
			if err != nil {
				t.Errorf("%s: %v", p, err)
			} else if got := tree(t, dir); got != "train/cat/1.png=c val/dog/2.png=d" {
				t.Errorf("%s: %s", p, got)
			}
		}
	}
}

// Nothing of a hostile archive is used, and nothing lands outside.
func TestHostileArchives(t *testing.T) {
	bomb := strings.Repeat("\x00", 90<<20)
	good := entry{name: "a/1.png", content: "x"}
	for name, c := range map[string]struct{ kind, content, want string }{
		"up":            {"tar", tarOf(good, entry{name: "../../evil", content: "x"}), "no name of a file"},
		"absolute":      {"tar", tarOf(good, entry{name: "/etc/evil", content: "x"}), "no name of a file"},
		"zip up":        {"zip", zipOf(good, entry{name: "../evil", content: "x"}), "no name of a file"},
		"backslash":     {"zip", zipOf(good, entry{name: `..\evil`, content: "x"}), "no name of a file"},
		"symlink":       {"tar", tarOf(good, entry{name: "l", content: "/etc", link: tar.TypeSymlink}), "link or a device"},
		"hard link":     {"tar", tarOf(good, entry{name: "l", content: "/etc/passwd", link: tar.TypeLink}), "link or a device"},
		"device":        {"tar", tarOf(good, entry{name: "l", link: tar.TypeChar}), "link or a device"},
		"zip symlink":   {"zip", zipOf(good, entry{name: "l", content: "/etc", link: 1}), "link or a device"},
		"twice":         {"tar", tarOf(good, good), "twice"},
		"zip bomb":      {"zip", zipOf(entry{name: "b", content: bomb}), "becomes more than"},
		"tar bomb":      {"tgz", gz(tarOf(entry{name: "b", content: bomb})), "becomes more than"},
		"bomb in parts": {"zip", zipOf(entry{name: "b1", content: bomb[:60<<20]}, entry{name: "b2", content: bomb[:60<<20]}), "becomes more than"},
		"no files":      {"zip", zipOf(), "no files"},
		"no archive":    {"zip", "hello", "cannot be used"},
		"cut":           {"tgz", gz(tarOf(good, good))[:40], "cannot be used"},
		"many":          {"tar", tarOf(good, entry{name: "b", content: "1"}, entry{name: "c", content: "1"}, entry{name: "d", content: "1"}), "more than 3 files"},
	} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			local := filepath.Join(place, "x."+c.kind)
			if err := os.WriteFile(local, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			cache := &remote.Cache{Dir: filepath.Join(place, "cache"), Limits: remote.Limits{Entries: 3, Ratio: 10}}
			if _, err := cache.Fetch(t.Context(), local); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(place, "cache", "trees", "*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			if left, _ := filepath.Glob(filepath.Join(place, "evil")); len(left) > 0 {
				t.Error("a file landed outside")
			}
		})
	}
}

// What nobody used since goes, and only that.
func TestPrune(t *testing.T) {
	b := &bucket{objects: map[string]string{"old/a/1": "shared", "old/b/2": "alone", "new/a/1": "shared"}}
	c := newCache(t, b)
	old, err := c.Fetch(t.Context(), "s3://data/old")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := c.Fetch(t.Context(), "s3://data/new")
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-48 * time.Hour)
	err = filepath.WalkDir(c.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(p, filepath.Dir(kept)) && strings.HasPrefix(p, kept) {
			return err
		}
		return os.Chtimes(p, past, past)
	})
	if err != nil {
		t.Fatal(err)
	}
	trees, err := filepath.Glob(filepath.Join(c.Dir, "trees", "*"))
	if err != nil || len(trees) != 2 {
		t.Fatalf("%v, %v", trees, err)
	}
	for _, tree := range trees {
		if strings.HasPrefix(kept, tree) {
			_ = os.Chtimes(tree, time.Now(), time.Now())
		}
	}
	for _, dry := range []bool{true, false} {
		freed, err := remote.Prune(c.Dir, time.Now().Add(-time.Hour), dry)
		if err != nil || freed != int64(len("alone")) {
			t.Errorf("dry %v: %d bytes, %v; want those of the one content that nothing else has", dry, freed, err)
		}
		if _, err := os.Stat(old); (err == nil) != dry {
			t.Errorf("dry %v: %s: %v", dry, old, err)
		}
	}
	if got := tree(t, kept); got != "1=shared" && got != "a/1=shared" {
		t.Errorf("the dataset in use is now %q", got)
	}
}
