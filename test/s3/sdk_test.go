package s3_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/runner/blob/s3"
)

// What an adapter does in Python: it fetches a dataset by its address, and
// uploads a checkpoint that it wrote.
const sdkScript = `
import sys
from pathlib import Path
from platform_sdk import DatasetConfig, ModelConfig, TrainingAdapter, TrainingConfig, get_dataset

cache, out = sys.argv[1:]
print(get_dataset("s3://models/sets/glyphs", cache))

class Mine(TrainingAdapter):
    def prepare_model(self): pass
    def prepare_dataset(self): pass
    def train(self, start_epoch=0, checkpoint_path=None, resume_training=False): return []

adapter = Mine(ModelConfig(framework="mine", task_type="image_classification", model_name="m"), DatasetConfig(dataset_path="."), TrainingConfig(), out, 7)
path = Path(out, "checkpoints", "epoch_0.pth")
path.write_bytes(b"\x80weights.")
adapter._upload_checkpoint_to_r2(path, 0, {"accuracy": 0.5})
adapter.wait_for_uploads()
`

func TestPythonSDK(t *testing.T) {
	python := os.Getenv("RUNNER_TEST_PYTHON")
	if python == "" {
		t.Skip("needs a Python with boto3 and pydantic, named by RUNNER_TEST_PYTHON")
	}
	server := startServer(t)
	blobs := server.open(t, s3.Config{})
	source, cache, out := t.TempDir(), t.TempDir(), t.TempDir()
	want := map[string]string{"train/a/1.png": "one", "train/b/ä ö.png": "two", "val/a/x+y.png": strings.Repeat("three", 1000)}
	for name, text := range want {
		file := filepath.Join(source, "file")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := blobs.Put(t.Context(), "sets/glyphs/"+name, file); err != nil {
			t.Fatal(err)
		}
	}
	run := func(env ...string) (string, error) {
		cmd := exec.Command(python, "-P", "-c", sdkScript, cache, out)
		cmd.Env = append(append(os.Environ(), server.env()...), "R2_BUCKET=models", "PYTHONPATH="+filepath.Join("..", "..", "sdk", "python"))
		cmd.Env = append(cmd.Env, env...)
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	got, err := run()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	folder := strings.TrimSpace(got)
	found := map[string]string{}
	err = filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		rel, _ := filepath.Rel(folder, p)
		found[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if found[name] != text {
			t.Errorf("%s has %d bytes, and not the %d of the bucket", name, len(found[name]), len(text))
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d files lie in %s, and %d in the bucket", len(found), folder, len(want))
	}
	uploaded := filepath.Join(out, "back.pth")
	if err := blobs.Get(t.Context(), "jobs/7/checkpoints/epoch_0.pth", uploaded); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(uploaded); err != nil || string(text) != "\x80weights." {
		t.Errorf("the checkpoint came back as %q, %v", text, err)
	}

	// Wrong keys are told without being shown.
	got, err = run("R2_SECRET_ACCESS_KEY=wrong-and-secret")
	if err == nil || strings.Contains(got, "wrong-and-secret") || !strings.Contains(got, "SignatureDoesNotMatch") {
		t.Errorf("%v\n%s", err, got)
	}
}
