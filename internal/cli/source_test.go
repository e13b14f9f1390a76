package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestRepository(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/acme/flowers.git":       "github.com/acme/flowers",
		"https://ci:t0ken@GitHub.com/acme/flowers":  "github.com/acme/flowers",
		"git@github.com:acme/flowers.git":           "github.com/acme/flowers",
		"ssh://git@github.com:22/acme/flowers.git/": "github.com/acme/flowers",
		"/srv/git/flowers.git":                      "/srv/git/flowers",
		"file:///srv/git/flowers.git":               "/srv/git/flowers",
		"../flowers":                                "../flowers",
	} {
		if got := repository(remote); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}

func TestClaim(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checkout := func(name string) string {
		dir := filepath.Join(root, name, "train")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"init", "-q"}, {"config", "remote.origin.url", "https://x:t0ken@example.com/acme/flowers.git"}} {
			if out, err := exec.Command("git", append([]string{"-C", filepath.Dir(dir)}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v: %s", args, err, out)
			}
		}
		return dir
	}
	plain := filepath.Join(root, "plain")
	if err := os.MkdirAll(filepath.Join(plain, ".runner"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir, state, want string }{
		{"one checkout", checkout("one"), root, "folder train of git repository example.com/acme/flowers"},
		{"another checkout", checkout("two"), root, "folder train of git repository example.com/acme/flowers"},
		{"a folder without git", plain, root, "folder " + plain},
		{"state of its own", plain, filepath.Join(plain, ".runner"), "the folder that holds the state"},
	} {
		got, err := claim(t.Context(), tt.dir, storePlace{path: filepath.Join(tt.state, "state.db"), dir: tt.state})
		if err != nil || got.Source != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got.Source, err, tt.want)
		}
	}
}
