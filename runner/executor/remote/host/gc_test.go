package host_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
)

// What is at work, young, or not fetched yet stays.
func TestGarbage(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	day := 24 * time.Hour
	for _, r := range []struct {
		id    string
		files []string // of its two attempts
		age   time.Duration
	}{
		{"home", []string{"attempts/1/order.json", "attempts/1/served-exit.json", "attempts/1/home", "attempts/2/order.json", "attempts/2/served-exit.json", "attempts/2/home", "checkpoints/e/w"}, 2 * day},
		{"young", []string{"attempts/1/order.json", "attempts/1/served-exit.json", "attempts/1/home"}, 20 * time.Hour},
		{"goes-on", []string{"attempts/1/order.json", "attempts/1/served-exit.json", "attempts/1/home", "attempts/2/order.json", "attempts/2/served-exit.json"}, 29 * day},
		{"works", []string{"attempts/1/order.json"}, 90 * day},
		{"ended-unseen", []string{"attempts/1/order.json", "attempts/1/task.json"}, 2 * day},
		{"forgotten", []string{"attempts/1/order.json", "attempts/1/served-exit.json"}, 31 * day},
		{"sent-only", []string{"inputs/0/weights"}, 31 * day},
		{".hidden", []string{"attempts/1/home"}, 90 * day},
	} {
		for _, name := range r.files {
			at := filepath.Join(dir, r.id, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			text := "{}"
			if filepath.Base(name) == "order.json" {
				text = `{"task":{"pipeline":"p","address":"train.a"}}`
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if r.id == "works" {
			lock, ok, err := spool.TryLock(filepath.Join(dir, r.id, "attempts", "1"))
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			defer lock.Close()
		}
		err := filepath.WalkDir(filepath.Join(dir, r.id), func(p string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chtimes(p, now.Add(-r.age), now.Add(-r.age))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := host.Garbage(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range found {
		got = append(got, g.RunID)
		if g.RunID == "home" && (g.Pipeline != "p" || g.Address != "train.a" || g.Bytes < 10 || g.Dir != filepath.Join(dir, "home") || g.Reason == "") {
			t.Errorf("%+v", g)
		}
	}
	if want := []string{"forgotten", "home", "sent-only"}; !slices.Equal(got, want) {
		t.Errorf("%v would go, want %v", got, want)
	}
	if found, err := host.Garbage(filepath.Join(dir, "nothing"), now); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
}
