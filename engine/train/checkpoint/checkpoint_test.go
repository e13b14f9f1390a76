package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func content(epoch int, step int64, accuracy float64) Content {
	return Content{Epoch: epoch, GlobalStep: step, Complete: true,
		Metrics: map[string]float64{"accuracy": accuracy, "loss": math.NaN()},
		Files: map[string]func(io.Writer) error{
			"weights": func(w io.Writer) error { _, err := fmt.Fprintf(w, "weights of %d", step); return err },
			"state":   func(w io.Writer) error { _, err := fmt.Fprintf(w, "state of %d", step); return err },
		}}
}

func write(t *testing.T, dir, name string, c Content) Info {
	t.Helper()
	info, err := Write(dir, name, c)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteThenOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoints")
	wrote := write(t, dir, "epoch_1", content(1, 10, 0.5))
	if err := Link(dir, "latest", "epoch_1"); err != nil {
		t.Fatal(err)
	}
	got, err := Open(filepath.Join(dir, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	if got.SHA256 != wrote.SHA256 || got.Name != "epoch_1" || got.GlobalStep != 10 || got.Size() != wrote.Size() {
		t.Errorf("wrote %+v, opened %+v", wrote, got)
	}
	if _, ok := got.Metrics["loss"]; ok || got.Metrics["accuracy"] != 0.5 {
		t.Errorf("metrics %v, want accuracy alone: JSON has no NaN", got.Metrics)
	}
	if left := names(t, dir); !slices.Equal(left, []string{"epoch_1", "latest"}) {
		t.Errorf("folder holds %v", left)
	}
}

// Whatever a crash or a bad disk leaves, the newest whole checkpoint is found.
func TestNewestFallsBack(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string) error{
		"truncated": func(_ *testing.T, path string) error { return os.Truncate(filepath.Join(path, "state"), 3) },
		"flipped": func(_ *testing.T, path string) error {
			return os.WriteFile(filepath.Join(path, "weights"), []byte("weights of 21"), 0o600)
		},
		"missing":     func(_ *testing.T, path string) error { return os.Remove(filepath.Join(path, "weights")) },
		"no manifest": func(_ *testing.T, path string) error { return os.Remove(filepath.Join(path, ManifestName)) },
		"torn manifest": func(_ *testing.T, path string) error {
			return os.Truncate(filepath.Join(path, ManifestName), 20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "epoch_1", content(1, 10, 0.5))
			second := write(t, dir, "epoch_2", content(2, 20, 0.6))
			if err := damage(t, second.Path); err != nil {
				t.Fatal(err)
			}
			got, skipped, ok, err := Newest(dir)
			if err != nil || !ok || got.Name != "epoch_1" {
				t.Fatalf("got %q, %v, %v; want epoch_1", got.Name, ok, err)
			}
			if len(skipped) != 1 || !errors.Is(skipped[0], ErrDamaged) {
				t.Errorf("skipped: %v", skipped)
			}
			if again := write(t, dir, "epoch_2", content(2, 20, 0.6)); again.Name != "epoch_2" {
				t.Errorf("wrote %+v over the damaged one", again)
			}
			if got, _, _, _ := Newest(dir); got.Name != "epoch_2" {
				t.Errorf("newest is %q after writing epoch_2 again", got.Name)
			}
		})
	}
}

func TestNewestOfNothing(t *testing.T) {
	if _, _, ok, err := Newest(filepath.Join(t.TempDir(), "none")); ok || err != nil {
		t.Errorf("got ok %v, %v", ok, err)
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := content(1, 10, 0.5)
	c.Files["state"] = func(io.Writer) error { return errors.New("disk gone") }
	if _, err := Write(dir, "epoch_1", c); err == nil {
		t.Fatal("the write succeeded")
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	c = content(1, 10, 0.5)
	c.Bytes = math.MaxInt64 / 2
	if _, err := Write(dir, "epoch_1", c); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a checkpoint larger than the disk: got %v", err)
	}
}

func TestSweepRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "epoch_1", content(1, 10, 0.5))
	for _, name := range []string{".tmp-epoch_2-123", ".old-epoch_0"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); !slices.Equal(left, []string{"epoch_1"}) {
		t.Errorf("left %v", left)
	}
}

func TestRetain(t *testing.T) {
	accuracy := []float64{0.3, 0.9, 0.4, 0.9, 0.5, 0.6}
	for name, c := range map[string]struct {
		policy Policy
		want   []string
	}{
		"default":    {Policy{Metric: "accuracy"}, []string{"epoch_2", "epoch_5", "epoch_6"}},
		"last 3":     {Policy{Metric: "accuracy", KeepLast: 3}, []string{"epoch_2", "epoch_4", "epoch_5", "epoch_6"}},
		"best 2":     {Policy{Metric: "accuracy", KeepBest: 2}, []string{"epoch_2", "epoch_4", "epoch_5", "epoch_6"}},
		"every 3":    {Policy{Metric: "accuracy", KeepEvery: 3}, []string{"epoch_2", "epoch_3", "epoch_5", "epoch_6"}},
		"min":        {Policy{Metric: "accuracy", Min: true}, []string{"epoch_1", "epoch_5", "epoch_6"}},
		"no metric":  {Policy{Metric: "other"}, []string{"epoch_5", "epoch_6"}},
		"last 1 + 1": {Policy{Metric: "other", KeepLast: 1}, []string{"epoch_5", "epoch_6"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, a := range accuracy {
				write(t, dir, fmt.Sprintf("epoch_%d", i+1), content(i+1, int64(10*(i+1)), a))
			}
			if _, err := Retain(dir, c.policy); err != nil {
				t.Fatal(err)
			}
			if left := names(t, dir); !slices.Equal(left, c.want) {
				t.Errorf("kept %v, want %v", left, c.want)
			}
		})
	}
}

func TestRetainKeepsLinksAndOneStep(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "epoch_1", content(1, 10, 0.5))
	for _, step := range []int64{12, 14, 16} {
		c := content(1, step, 0)
		c.Complete, c.Metrics = false, nil
		write(t, dir, fmt.Sprintf("step_%d", step), c)
	}
	if err := Link(dir, "best", "epoch_1"); err != nil {
		t.Fatal(err)
	}
	if err := Link(dir, "latest", "step_16"); err != nil {
		t.Fatal(err)
	}
	if _, err := Retain(dir, Policy{Metric: "loss"}); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); !slices.Equal(left, []string{"best", "epoch_1", "latest", "step_14", "step_16"}) {
		t.Errorf("kept %v", left)
	}
}
