package web_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/web"
)

// TestPageIsServed reads the page as a browser does: each file that it names is
// there, to be kept for good, and nothing in it is inline.
func TestPageIsServed(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Public = true }) // the page itself tells nothing
	res, body := s.request("GET", "/", "", "")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("GET /: %d %v", res.StatusCode, res.Header)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %q, want %s", policy, want)
		}
	}
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]`).Find(body); inline != nil {
		t.Errorf("the page has something inline: %s", inline)
	}
	if res, body := s.request("GET", "/", "", "", "If-None-Match", res.Header.Get("ETag")); res.StatusCode != http.StatusNotModified || len(body) != 0 {
		t.Errorf("the page again: %d", res.StatusCode)
	}
	named := regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllSubmatch(body, -1)
	if len(named) < 3 {
		t.Errorf("the page names %d files", len(named))
	}
	for _, m := range named {
		res, body := s.request("GET", string(m[1]), "", "")
		if res.StatusCode != 200 || len(body) == 0 || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("GET %s: %d %v", m[1], res.StatusCode, res.Header)
		}
	}
	for _, path := range []string{"/assets/none.js", "/assets/..%2findex.html", "/assets/", "/index.html"} {
		if res, _ := s.request("GET", path, "", ""); res.StatusCode != 404 {
			t.Errorf("GET %s: %d", path, res.StatusCode)
		}
	}
}

// TestDownloads gets what a run left, and nothing from elsewhere.
func TestDownloads(t *testing.T) {
	s := newSite(t, nil)
	run, err := s.store.Run(t.Context(), "live")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(run.Dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789", 1<<17)
	write("checkpoints/epoch_1/weights.safetensors", large)
	write("checkpoints/epoch_1/sub/state.json", "{}")
	for name, target := range map[string]string{"checkpoints/best": "epoch_1", "checkpoints/epoch_1/link": secret, "out": secret} {
		if err := os.Symlink(target, filepath.Join(run.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	saved := func(name, path string) pipelines.Event {
		return pipelines.Event{Type: pipelines.EventCheckpoint, Checkpoint: &pipelines.Checkpoint{Name: name, Path: path, SHA256: "ab", Epoch: 1}}
	}
	add(t, s.store, "live", 2,
		saved("best", filepath.Join(run.Dir, "checkpoints/best")), saved("epoch_1", filepath.Join(run.Dir, "checkpoints/epoch_1")),
		saved("file", write("checkpoints/one.pt", "weights")), saved("out", filepath.Join(run.Dir, "out")),
		saved("away", secret), saved("up", run.Dir+"/../secret"), saved("gone", filepath.Join(run.Dir, "checkpoints/none")))
	for _, name := range []string{"best", "epoch_1"} {
		res, body := s.request("GET", "/api/v1/runs/live/checkpoints/"+name, "", "")
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-tar" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
			t.Fatalf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		files := map[string]string{}
		for r := tar.NewReader(bytes.NewReader(body)); ; {
			head, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			files[head.Name] = string(text)
		}
		if len(files) != 2 || files[name+"/weights.safetensors"] != large || files[name+"/sub/state.json"] != "{}" {
			t.Errorf("%s holds %d files", name, len(files))
		}
	}
	if res, body := s.request("GET", "/api/v1/runs/live/checkpoints/file", "", ""); res.StatusCode != 200 || string(body) != "weights" {
		t.Errorf("file: %d %q", res.StatusCode, body)
	}
	for _, name := range []string{"out", "away", "up", "gone", "none", "..%2f..%2fstate.db"} {
		if res, body := s.request("GET", "/api/v1/runs/live/checkpoints/"+name, "", ""); res.StatusCode != 404 || bytes.Contains(body, []byte("secret")) {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	if res, _ := s.request("GET", "/api/v1/runs/done/artifacts/model.onnx", "", ""); res.StatusCode != 404 {
		t.Errorf("an artifact out of the run's folder: %d", res.StatusCode)
	}
}

// TestPictures asks for a sample, and for files that are none.
func TestPictures(t *testing.T) {
	var asked []string
	s := newSite(t, func(c *web.Config) {
		c.Picture = func(path string) ([]byte, error) {
			asked = append(asked, path)
			if path != "a.png" {
				return nil, fs.ErrNotExist
			}
			return []byte("jpeg"), nil
		}
	})
	for path, want := range map[string]int{"a.png": 200, "/etc/passwd": 404, "": 404} {
		res, body := s.request("GET", "/api/v1/runs/done/picture?path="+url.QueryEscape(path), "", "")
		if res.StatusCode != want || want == 200 && (string(body) != "jpeg" || res.Header.Get("Content-Type") != "image/jpeg") {
			t.Errorf("%q: %d %s", path, res.StatusCode, body)
		}
	}
	if res, _ := s.request("GET", "/api/v1/runs/live/picture?path=a.png", "", ""); res.StatusCode != 404 {
		t.Errorf("another run's sample: %d", res.StatusCode)
	}
	if len(asked) != 1 {
		t.Errorf("read %q, want the one sample", asked)
	}
}
