package weights_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trainwright/trainwright/engine/weights"
)

// fakeHub serves one file of timm/resnet18.a1_in1k through a redirect to a
// content store, as the hub does.
type fakeHub struct {
	content  []byte
	announce string // X-Linked-Etag
	truncate bool
	hits     atomic.Int32
	auth     [2]string // Authorization seen by the hub and by the store
}

func (f *fakeHub) start(t *testing.T) weights.Hub {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.auth[1] = r.Header.Get("Authorization")
		if f.truncate {
			w.Header().Set("Content-Length", "100000")
		}
		w.Write(f.content)
	}))
	t.Cleanup(store.Close)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		f.auth[0] = r.Header.Get("Authorization")
		if r.URL.Path != "/timm/resnet18.a1_in1k/resolve/main/model.safetensors" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Repo-Commit", "0123456789abcdef")
		w.Header().Set("X-Linked-Etag", `"`+f.announce+`"`)
		// Another host name, so that the token must not follow.
		http.Redirect(w, r, strings.Replace(store.URL, "127.0.0.1", "localhost", 1)+"/blob", http.StatusFound)
	}))
	t.Cleanup(hub.Close)
	env := map[string]string{"HF_ENDPOINT": hub.URL, "HF_TOKEN": "hf_secret", "HF_HUB_CACHE": t.TempDir()}
	return weights.HubFromEnv(func(k string) string { return env[k] }, "/nowhere")
}

func someWeights(t *testing.T) ([]byte, string) {
	var buf bytes.Buffer
	f := &weights.File{Tensors: map[string]weights.Tensor{"fc.bias": weights.Float32([]int{2}, []float32{1, 2})}}
	if err := weights.Encode(&buf, f); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(buf.Bytes())
	return buf.Bytes(), hex.EncodeToString(sum[:])
}

var r18 = weights.HubFile{Repo: "timm/resnet18.a1_in1k"}

func TestHubDownloadsOnce(t *testing.T) {
	ctx := context.Background()
	content, want := someWeights(t)
	f := &fakeHub{content: content, announce: want}
	hub := f.start(t)
	path, sum, err := hub.Fetch(ctx, r18, "")
	if err != nil || sum != want {
		t.Fatalf("sum %s, %v", sum, err)
	}
	if file, err := weights.Open(path); err != nil || len(file.Tensors) != 1 {
		t.Fatalf("the download is not the file: %v", err)
	}
	if f.auth[0] != "Bearer hf_secret" || f.auth[1] != "" {
		t.Errorf("the token went to %q", f.auth)
	}
	hub.Offline = true
	for _, pin := range []string{"", want} {
		if _, sum, err := hub.Fetch(ctx, r18, pin); err != nil || sum != want {
			t.Fatalf("from the cache, pinned %q: %s %v", pin, sum, err)
		}
	}
	if n := f.hits.Load(); n != 1 {
		t.Errorf("the hub was asked %d times", n)
	}
	link := filepath.Join(hub.CacheDir, "models--timm--resnet18.a1_in1k", "snapshots", "0123456789abcdef", "model.safetensors")
	if got, err := os.ReadFile(link); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the cache is not in the hub's layout: %v", err)
	}
}

func TestHubRefusals(t *testing.T) {
	ctx := context.Background()
	content, sum := someWeights(t)
	other := strings.Repeat("ab", 32)
	check := func(name string, f *fakeHub, file weights.HubFile, pin string, is error, text string) {
		t.Run(name, func(t *testing.T) {
			hub := f.start(t)
			path, _, err := hub.Fetch(ctx, file, pin)
			if err == nil {
				t.Fatalf("got %s", path)
			}
			if is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), text) {
				t.Fatalf("got %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(hub.CacheDir, "*", "*", "*"))
			if len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	check("truncated", &fakeHub{content: content, truncate: true}, r18, "", nil, "broke off")
	check("pinned otherwise", &fakeHub{content: content, announce: sum}, r18, other, weights.ErrHash, "pinned")
	check("announced otherwise", &fakeHub{content: content, announce: other}, r18, "", weights.ErrHash, "announced")
	check("not found", &fakeHub{}, weights.HubFile{Repo: "timm/none"}, "", nil, "404")
	check("bad name", &fakeHub{}, weights.HubFile{Repo: "../../etc"}, "", nil, "OWNER/NAME")
	check("bad file", &fakeHub{}, weights.HubFile{Repo: "a/b", Name: "../x"}, "", nil, "not allowed")
	check("bad pin", &fakeHub{}, r18, "abc", nil, "SHA-256")
}

func TestHubOffline(t *testing.T) {
	content, _ := someWeights(t)
	f := &fakeHub{content: content}
	hub := f.start(t)
	hub.Offline = true
	_, _, err := hub.Fetch(context.Background(), r18, "")
	if !errors.Is(err, weights.ErrOffline) || f.hits.Load() != 0 {
		t.Fatalf("%v after %d requests", err, f.hits.Load())
	}
}

func TestHubIgnoresADamagedCache(t *testing.T) {
	ctx := context.Background()
	content, want := someWeights(t)
	f := &fakeHub{content: content, announce: want}
	hub := f.start(t)
	path, _, err := hub.Fetch(ctx, r18, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:20], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, sum, err := hub.Fetch(ctx, r18, want); err != nil || sum != want || f.hits.Load() != 2 {
		t.Fatalf("%s %v after %d requests", sum, err, f.hits.Load())
	}
}
