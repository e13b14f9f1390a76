package train

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/rng"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
)

// everything turns on all that has state.
func everything(t testing.TB) Config {
	cfg := small(t)
	cfg.Augment = data.Augment{RandomCrop: 2, RandomFlip: true, Rotation: 10, ColorJitter: 0.3}
	cfg.Epochs, cfg.Accumulate, cfg.EMADecay, cfg.ClipNorm, cfg.LabelSmoothing = 3, 2, 0.9, 1, 0.1
	cfg.Train, cfg.BatchSize = cfg.Train[:21], 4 // 5 full batches and a remainder of 1, which is dropped
	cfg.Train = append(cfg.Train, cfg.Train[0])  // of 2
	cfg.Checkpoints.Steps = 1
	return cfg
}

// last returns the hashes of everything that the newest checkpoint holds.
func last(t testing.TB, cfg Config) map[string]checkpoint.File {
	t.Helper()
	info, err := checkpoint.Open(filepath.Join(cfg.Checkpoints.Dir, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Epoch != cfg.Epochs || !info.Complete {
		t.Fatalf("the newest checkpoint is %s", info.Name)
	}
	return info.Files
}

func same(t testing.TB, got, want map[string]checkpoint.File) {
	t.Helper()
	for _, name := range []string{WeightsFile, trainingFile, stateFile} {
		if got[name] != want[name] {
			t.Errorf("%s differs from that of the uninterrupted training", name)
		}
	}
}

func TestStoppedFiveTimesEndsBitEqual(t *testing.T) {
	cfg := everything(t)
	run(t, cfg)
	want := last(t, cfg)
	cfg.Checkpoints.Dir = t.TempDir()
	cfg.Resume = true
	for stop := range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		saved := 0
		l := &eventLog{}
		_, err := Run(ctx, cfg, func(e Event) error {
			if _, ok := e.(Saved); ok {
				saved++
				if saved == 1+stop%2 {
					cancel()
				}
			}
			return l.observe(e)
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stop %d: got %v", stop, err)
		}
		if resumed := of[Resumed](l); (len(resumed) == 1) != (stop > 0) {
			t.Errorf("start %d reported %d resumes", stop, len(resumed))
		} else if stop > 0 && len(resumed[0].Differences) > 0 {
			t.Errorf("differences in the same environment: %v", resumed[0].Differences)
		}
	}
	r, _ := run(t, cfg)
	same(t, last(t, cfg), want)
	if r.Metrics["accuracy"] == 0 && r.Metrics["loss"] == 0 || r.Model == "" {
		t.Errorf("result after resumes: %+v", r)
	}
}

// Stopping can come at any moment, also in the middle of a run of the graph.
func TestStoppedAtRandomMomentsEndsBitEqual(t *testing.T) {
	cfg := everything(t)
	run(t, cfg)
	want := last(t, cfg)
	cfg.Checkpoints.Dir, cfg.Checkpoints.Steps = t.TempDir(), 0
	cfg.Resume = true
	r := rng.New(11, "stops")
	for range 8 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(60+r.IntN(250))*time.Millisecond)
		_, err := Run(ctx, cfg, (&eventLog{}).observe)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	run(t, cfg)
	same(t, last(t, cfg), want)
}

const helperDir = "TRAIN_TEST_KILLED_DIR"

// TestHelperProcess is the training that TestKilledTrainingLosesNothing kills.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		t.Skip("runs only as a child of TestKilledTrainingLosesNothing")
	}
	run(t, killedConfig(t, dir))
}

func killedConfig(t testing.TB, dir string) Config {
	cfg := everything(t)
	for i := range cfg.Train { // the same files in every process
		cfg.Train[i].Path = filepath.Join(dir, "train", filepath.Base(cfg.Train[i].Path))
	}
	for i := range cfg.Val {
		cfg.Val[i].Path = filepath.Join(dir, "val", filepath.Base(cfg.Val[i].Path))
	}
	cfg.Checkpoints.Dir = filepath.Join(dir, "checkpoints")
	cfg.Resume = true
	return cfg
}

func TestKilledTrainingLosesNothing(t *testing.T) {
	reference := everything(t)
	run(t, reference)
	want := last(t, reference)
	dir := t.TempDir()
	pictures(t, filepath.Join(dir, "train"), 21, 1)
	pictures(t, filepath.Join(dir, "val"), 11, 2)
	cfg := killedConfig(t, dir)
	r := rng.New(12, "kills")
	kills, step := 0, int64(0)
	for kills < 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the training failed by itself: %v", err)
			}
			same(t, last(t, cfg), want)
			t.Logf("finished after %d kills", kills)
			return
		case <-time.After(time.Duration(300+r.IntN(700)) * time.Millisecond):
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				continue // it was done just before
			}
			kills++
		}
		info, skipped, ok, err := checkpoint.Newest(cfg.Checkpoints.Dir)
		if err != nil || len(skipped) > 0 {
			t.Fatalf("after kill %d: unreadable checkpoints: %v %v", kills, skipped, err)
		}
		if ok && info.GlobalStep < step {
			t.Errorf("after kill %d the newest checkpoint went back from step %d to %d", kills, step, info.GlobalStep)
		}
		step = info.GlobalStep
	}
	run(t, cfg)
	same(t, last(t, cfg), want)
}

func TestADamagedCheckpointFallsBack(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 3
	run(t, cfg)
	want := last(t, cfg)
	if err := os.Truncate(filepath.Join(cfg.Checkpoints.Dir, "epoch_3", trainingFile), 100); err != nil {
		t.Fatal(err)
	}
	cfg.Resume = true
	_, l := run(t, cfg)
	same(t, last(t, cfg), want)
	if r := of[Resumed](l); len(r) != 1 || r[0].Epoch != 2 {
		t.Errorf("resumed %+v, want from epoch 2", r)
	}
	if !slices.ContainsFunc(of[Message](l), func(m Message) bool { return m.Level == "warning" }) {
		t.Error("nobody was told that a checkpoint is damaged")
	}
}

// A process may die after an epoch's checkpoint and before the links to it.
func TestALinkThatWasNotMadeIsMadeOnResume(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 1
	want, _ := run(t, cfg)
	if err := os.Remove(filepath.Join(cfg.Checkpoints.Dir, "best")); err != nil {
		t.Fatal(err)
	}
	cfg.Resume = true
	got, _ := run(t, cfg)
	if got.Best.SHA256 != want.Best.SHA256 || got.Model != want.Model || got.Metrics["accuracy"] != want.Metrics["accuracy"] {
		t.Errorf("best is %q (%v), model %q; want %q (%v), %q", got.Best.Name, got.Metrics, got.Model, want.Best.Name, want.Metrics, want.Model)
	}
	if _, err := checkpoint.Open(filepath.Join(cfg.Checkpoints.Dir, "best")); err != nil {
		t.Error(err)
	}
}

// The path of devices, whose memory is reached by copies only, gives the same
// bits when the device is the host.
func TestStagedMemoryTrainsTheSame(t *testing.T) {
	cfg := everything(t)
	run(t, cfg)
	want := last(t, cfg)
	cfg.Checkpoints.Dir, cfg.adjust = t.TempDir(), func(d *device) { d.staged = true }
	run(t, cfg)
	same(t, last(t, cfg), want)
}

func TestEnvironmentDifferencesAreTold(t *testing.T) {
	cfg := small(t)
	cfg.Epochs = 1
	run(t, cfg)
	cfg.Epochs, cfg.Resume, cfg.Threads = 2, true, 2
	_, l := run(t, cfg)
	if r := of[Resumed](l); len(r) != 1 || r[0].Differences["threads"] != "1 -> 2" {
		t.Errorf("resumed %+v, want a difference in threads", r)
	}
}
