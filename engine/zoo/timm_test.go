package zoo_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/trainwright/trainwright/engine/internal/steptest"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
)

// Files that timm's own models are saved to load here, every tensor of them,
// and give timm's logits.
func TestTimmsFilesLoad(t *testing.T) {
	python := os.Getenv("RUNNER_TEST_PYTHON")
	if python == "" {
		t.Skip("needs RUNNER_TEST_PYTHON, an interpreter with timm and safetensors: make test-python")
	}
	steptest.Runtime(t)
	dir := t.TempDir()
	argv := []string{"testdata/timm_weights.py", dir, strconv.Itoa(classes), strconv.Itoa(imageSize)}
	for _, m := range zoo.All {
		if m.Hub != "" {
			argv = append(argv, m.Name)
		}
	}
	pixels, err := json.Marshal(images(0, 2))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, argv...)
	cmd.Stdin = bytes.NewReader(pixels)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var logits map[string][]float32
	text, err := os.ReadFile(filepath.Join(dir, "logits.json"))
	if err == nil {
		err = json.Unmarshal(text, &logits)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range zoo.All {
		if m.Hub == "" {
			continue // not a model of timm
		}
		t.Run(m.Name, func(t *testing.T) {
			g, b := build(t, m.Name, imageSize, zoo.Options{NumClasses: classes})
			g.Output("logits", b.Logits)
			f, err := weights.Open(filepath.Join(dir, m.Name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			var want []weights.Param
			for _, p := range b.Init {
				want = append(want, weights.Param{Name: p.Name, Shape: p.Shape})
			}
			values, report, err := weights.Match(f, want, m.Classifier)
			if err != nil || len(report.Reheaded) > 0 {
				t.Fatalf("%s: %v", report, err)
			}
			s := steptest.New(t, g, values, lower.Options{})
			s.Run(t, map[string]any{"x": images(0, 2)})
			got := s.Output(t, "logits")
			worst, scale := 0.0, 1.0
			for i, w := range logits[m.Name] {
				worst = math.Max(worst, math.Abs(float64(got[i]-w)))
				scale = math.Max(scale, math.Abs(float64(w)))
			}
			t.Logf("%s; logits differ by %.1e of %.1f", report, worst, scale)
			if len(logits[m.Name]) != 2*classes || !(worst <= 2e-5*scale) {
				t.Errorf("logits differ by %.1e of %.1f:\n%v, timm has\n%v", worst, scale, got, logits[m.Name])
			}
		})
	}
}
