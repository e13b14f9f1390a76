package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/adapters/python"
)

var codeBlock = regexp.MustCompile("(?ms)^```(sh|hcl)\n(.*?)^```$")

// TestAdaptersGuide runs docs/adapters.md as a reader would: every hcl block is
// main.hcl, every sh block is run.
func TestAdaptersGuide(t *testing.T) {
	interpreter := os.Getenv("RUNNER_TEST_PYTHON")
	if interpreter == "" {
		t.Skip("needs a Python with torch and onnxruntime, named by RUNNER_TEST_PYTHON")
	}
	runner, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := codeBlock.FindAllSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Fatalf("%d code blocks found", len(blocks))
	}
	for _, b := range blocks {
		if string(b[1]) == "hcl" {
			if err := os.WriteFile(filepath.Join(dir, "main.hcl"), b[2], 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		c := exec.Command("sh", "-e", "-c", string(b[2]))
		c.Dir = dir
		c.Env = append(os.Environ(), python.EnvPython+"="+interpreter, "PATH="+filepath.Dir(runner)+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", b[2], err, out)
		}
		if strings.Contains(string(b[2]), "apply") && !strings.Contains(string(out), "same") {
			t.Errorf("the check was not judged:\n%s", out)
		}
	}
	if found, err := filepath.Glob(filepath.Join(dir, ".runner/runs/*/artifacts/model.onnx")); err != nil || len(found) == 0 {
		t.Errorf("no exported model: %v", err)
	}
	test := exec.Command(interpreter, "-m", "pytest", "-q", "mine")
	test.Dir = dir
	sdk, err := filepath.Abs("../../sdk/python")
	if err != nil {
		t.Fatal(err)
	}
	test.Env = append(os.Environ(), "PYTHONPATH="+sdk)
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("the template's own tests: %v\n%s", err, out)
	}
}
