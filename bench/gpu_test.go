package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/ort"
)

// gpu runs gpu.sh on the CPU, with a stand-in for nvidia-smi, and returns what
// it printed.
func gpu(t *testing.T, env ...string) (string, error) {
	t.Helper()
	python := os.Getenv("RUNNER_TEST_PYTHON")
	if python == "" {
		t.Skip("needs RUNNER_TEST_PYTHON, an interpreter with torch and timm: make test-python")
	}
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	tools := t.TempDir()
	// The memory in use grows with every question, the name is fixed.
	script := `#!/bin/sh
case "$1" in
*memory.used*) echo x >>` + tools + `/asked; wc -l <` + tools + `/asked ;;
*) echo "Paper GPU, 600.1, 81559" ;;
esac
`
	if err := os.WriteFile(filepath.Join(tools, "nvidia-smi"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "gpu.sh", "--models", "vit_small_patch16_224", "--results", filepath.Join(tools, "results"))
	cmd.Env = append(os.Environ(), "DRY=1", "BENCH_PYTHON="+python, "PATH="+tools+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	t.Logf("%s\n%s", out, errors.String())
	results, readErr := os.ReadFile(filepath.Join(tools, "results"))
	if n := strings.Count(string(results), `"round": 1`); readErr != nil || (err == nil && n != 3) {
		t.Errorf("%d results were kept (%v), want 3", n, readErr)
	}
	return string(out), err
}

func TestGPUBenchmarkRunsDry(t *testing.T) {
	out, err := gpu(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`Paper GPU, 600\.1`, `vit_small_patch16_224 +precision +images/s`,
		`native +float32 +\d+\.\d +\d+\.\d +\d+\.\d s +[1-9]\d* +\d+`,
		`torch channels_last amp +float16 +\d`, `torch channels_last_compile amp +float16 +\d`,
		`native: \d+\.\d\dx the images/s by median .*x the memory of torch`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output lacks %q", want)
		}
	}
}

func TestGPUBenchmarkTellsASideThatFails(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "steps")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho 'steps: no such device' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := gpu(t, "BENCH_NATIVE="+broken)
	if err == nil || !strings.Contains(out, "failed: steps: no such device") || !strings.Contains(out, "torch channels_last amp") {
		t.Errorf("%v:\n%s", err, out)
	}
}
