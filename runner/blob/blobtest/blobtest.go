// Package blobtest is the suite that every store of blobs passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Open makes an empty store for one test.
type Open func(t *testing.T) runner.Blobs

// Run runs the suite. torn says why a server, and not the store, may answer with
// a mixture while a key is replaced; "" = it must not.
func Run(t *testing.T, open Open, torn string) {
	for name, test := range map[string]func(*testing.T, runner.Blobs){
		"round trip": testRoundTrip, "replace": testReplace, "missing": testMissing, "list": testList,
		"delete": testDelete, "keys": testKeys, "cancel": testCancel, "at once": testAtOnce, "no torn get": testNoTornGet,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "at once" && torn != "" {
				t.Skip(torn)
			}
			test(t, open(t))
		})
	}
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func put(t *testing.T, b runner.Blobs, key string, data []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, write(t, data)); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func get(t *testing.T, b runner.Blobs, key string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sub folder", "out")
	if err := b.Get(t.Context(), key, file); err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("get left %v beside the file (%v)", left, err)
	}
	return data
}

// Random returns n bytes that differ from seed to seed.
func Random(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	data := make([]byte, n)
	_, _ = r.Read(data) // never fails
	return data
}

func testRoundTrip(t *testing.T, b runner.Blobs) {
	for key, size := range map[string]int{
		"empty": 0, "one byte": 1, "runs/a/checkpoints/epoch_1/weights.safetensors": 70_000,
		"large": 17<<20 + 11, "unicode/강아지 und Katze/+&?=%41#.onnx": 100,
	} {
		data := Random(uint64(size), size)
		put(t, b, key, data)
		if !bytes.Equal(get(t, b, key), data) {
			t.Errorf("%q came back changed", key)
		}
	}
}

func testReplace(t *testing.T, b runner.Blobs) {
	put(t, b, "k", []byte("one"))
	before, _ := b.List(t.Context(), "k")
	put(t, b, "k", []byte("other"))
	if got := get(t, b, "k"); string(got) != "other" {
		t.Errorf("got %q", got)
	}
	after, err := b.List(t.Context(), "k")
	if err != nil || len(before) != 1 || len(after) != 1 || before[0].ETag == after[0].ETag {
		t.Errorf("ETag %v, then %v (%v)", before, after, err)
	}
}

func testMissing(t *testing.T, b runner.Blobs) {
	file := filepath.Join(t.TempDir(), "out")
	if err := b.Get(t.Context(), "nothing/here", file); pipelines.CodeOf(err) != pipelines.CodeNotFound {
		t.Errorf("get: %v, want not_found", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) > 0 {
		t.Errorf("a failed get left %v", left)
	}
	if got, err := b.List(t.Context(), "nothing/"); err != nil || len(got) > 0 {
		t.Errorf("list: %v, %v", got, err)
	}
	if err := b.Put(t.Context(), "k", filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("put of a file that is not there: %v", err)
	}
}

func testList(t *testing.T, b runner.Blobs) {
	for _, key := range []string{"a/2", "a/10", "ab", "b/c/d", "a/1"} {
		put(t, b, key, []byte(key))
	}
	keys := func(prefix string) []string {
		list, err := b.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range list {
			if out = append(out, e.Key); e.Size != int64(len(e.Key)) || e.Modified.IsZero() || e.ETag == "" {
				t.Errorf("%+v", e)
			}
		}
		return out
	}
	for prefix, want := range map[string]string{"": "a/1 a/10 a/2 ab b/c/d", "a": "a/1 a/10 a/2 ab", "a/": "a/1 a/10 a/2", "a/1": "a/1 a/10", "b/c/": "b/c/d", "x": ""} {
		if got := strings.Join(keys(prefix), " "); got != want {
			t.Errorf("under %q: %q, want %q", prefix, got, want)
		}
	}
}

func testDelete(t *testing.T, b runner.Blobs) {
	for _, key := range []string{"a/b/1", "a/b/2", "a/3"} {
		put(t, b, key, []byte("x"))
	}
	if err := b.Delete(t.Context(), "a/b/1", "a/b/2", "never/there"); err != nil {
		t.Fatal(err)
	}
	if left, err := b.List(t.Context(), ""); err != nil || len(left) != 1 || left[0].Key != "a/3" {
		t.Errorf("left %v, %v", left, err)
	}
	put(t, b, "a/b/1", []byte("again"))
}

func testKeys(t *testing.T, b runner.Blobs) {
	file := write(t, []byte("x"))
	for _, key := range []string{"", "/etc/x", "../x", "a/../../x", "a//b", "a/", ".", "..", "a\\b", "a\x00b", strings.Repeat("k", 901)} {
		for what, err := range map[string]error{"put": b.Put(t.Context(), key, file), "get": b.Get(t.Context(), key, file+".out"), "delete": b.Delete(t.Context(), key)} {
			if pipelines.CodeOf(err) != pipelines.CodeInvalid {
				t.Errorf("%s %q: %v, want invalid", what, key, err)
			}
		}
	}
}

func testCancel(t *testing.T, b runner.Blobs) {
	put(t, b, "k", []byte("old"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "k", write(t, Random(1, 1<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if got := get(t, b, "k"); string(got) != "old" {
		t.Error("a cancelled put changed the blob")
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := b.Get(ctx, "k", out); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a cancelled get left its file")
	}
}

// Writers of one key at once: readers see one of the contents, never a mixture.
func testAtOnce(t *testing.T, b runner.Blobs) {
	contents := [][]byte{Random(1, 300_000), Random(2, 300_001), Random(3, 299_999)}
	put(t, b, "k", contents[0])
	var wait sync.WaitGroup
	for _, data := range contents {
		file := write(t, data)
		wait.Go(func() {
			for range 5 {
				if err := b.Put(t.Context(), "k", file); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		out := filepath.Join(t.TempDir(), "out")
		err := b.Get(t.Context(), "k", out)
		if err != nil { // another content came in between, and Get said so
			continue
		}
		got, err := os.ReadFile(out)
		if err != nil || !slices.ContainsFunc(contents, func(c []byte) bool { return bytes.Equal(c, got) }) {
			t.Errorf("a mixture of %d bytes was read (%v)", len(got), err)
		}
	}
	wait.Wait()
}

// A get that replaces a file never shows half of the new one.
func testNoTornGet(t *testing.T, b runner.Blobs) {
	put(t, b, "k", Random(9, 2<<20))
	out := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(out, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Get(t.Context(), "k", out) }()
	for {
		info, err := os.Stat(out)
		if err != nil || info.Size() != 3 && info.Size() != 2<<20 {
			t.Fatalf("seen in between: %v, %v", info, err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
