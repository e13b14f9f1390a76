package python_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/internal/golden"
)

// builtIn are the adapters that come with the program.
var builtIn = []struct {
	make    func(python.Host) python.Adapter
	license string
	model   string
	task    string
}{
	{timm.New, "Apache-2.0", "resnet18", "image_classification"},
	{ultralytics.New, "AGPL-3.0", "yolov8n", "object_detection"},
	{transformers.New, "Apache-2.0", "vit-tiny-patch16", "image_classification"},
}

func TestBuiltInDescriptions(t *testing.T) {
	for _, b := range builtIn {
		a := b.make(python.Host{Cache: t.TempDir()})
		info := a.Info()
		t.Run(info.Name, func(t *testing.T) {
			if info.License != b.license || info.Lock == "" || info.Numerics < 1 {
				t.Errorf("info: %+v", info)
			}
			if left := a.Requirements.Unpinned(); len(left) > 0 {
				t.Errorf("requirements without an exact version: %q", left)
			}
			found := false
			for _, m := range a.Models(b.task) {
				found = found || m.ModelName == b.model && m.License != "" && m.DefaultImageSize > 0
				if m.Parameters == "" {
					t.Errorf("%s has no count of parameters", m.ModelName)
				}
			}
			if !found {
				t.Errorf("%s is not among the models of %s", b.model, b.task)
			}
			for _, task := range info.Tasks {
				s, presets, ok := a.Schema(task)
				if !ok || len(s.Fields) == 0 || len(presets) < 3 {
					t.Errorf("%s: %d fields, %d presets", task, len(s.Fields), len(presets))
				}
			}
		})
	}
}

// counts are the models' parameters. A quick description has those of a sample.
var counts = regexp.MustCompile(`"parameters":"[^"]*"`)

const uncounted = `"parameters":""`

// TestBuiltInDescriptionsAreTheirs describes the adapters again, with the
// pinned versions, and compares. Run it with -update after a change of theirs:
// like RUNNER_TEST_LONG, that counts the parameters of all models, which takes
// minutes.
func TestBuiltInDescriptionsAreTheirs(t *testing.T) {
	interpreter := os.Getenv("RUNNER_TEST_PYTHON")
	if interpreter == "" {
		t.Skip("needs a Python with the adapters' requirements, named by RUNNER_TEST_PYTHON")
	}
	if !golden.Update() && os.Getenv("RUNNER_TEST_LONG") == "" {
		t.Setenv("PLATFORM_SDK_QUICK", "1")
	}
	host := python.Host{Cache: t.TempDir(), Lookup: func(name string) (string, bool) {
		if name == python.EnvPython {
			return interpreter, true
		}
		return os.LookupEnv(name)
	}}
	for _, b := range builtIn {
		a := b.make(host)
		t.Run(a.Name, func(t *testing.T) {
			e := python.Environment{Adapter: a.Name, Requirements: a.Requirements, Host: host}
			text, _, err := e.RunDescribe(t.Context(), a.Source, "")
			if err != nil {
				t.Fatal(err)
			}
			path := "../" + a.Name + "/description.json"
			if golden.Update() {
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			committed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, got := strings.Split(string(committed), "\n"), strings.Split(string(text), "\n")
			for i := range max(len(want), len(got)) {
				if i < len(want) && i < len(got) && strings.Contains(got[i], uncounted) {
					want[i] = counts.ReplaceAllString(want[i], uncounted)
				}
				if i >= len(want) || i >= len(got) || want[i] != got[i] {
					t.Fatalf("line %d of the adapter's own description differs from %s; make it anew with -update", i+1, path)
				}
			}
		})
	}
}
