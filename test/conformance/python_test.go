package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/internal/conformance"
	"github.com/trainwright/trainwright/pipelines"
)

// host is this machine with the Python that has every adapter's packages.
func host(t *testing.T) python.Host {
	t.Helper()
	interpreter := os.Getenv("RUNNER_TEST_PYTHON")
	if interpreter == "" {
		t.Skip("needs a Python with the adapters' requirements, named by RUNNER_TEST_PYTHON")
	}
	return python.Host{Cache: t.TempDir(), Lookup: func(name string) (string, bool) {
		if name == python.EnvPython {
			return interpreter, true
		}
		return os.LookupEnv(name)
	}}
}

// The adapters that come with this program. Each of their fields is changed in
// the SDK's own tests, too, where one process does it for all.
func TestTimm(t *testing.T) {
	run(t, timm.New(host(t)), conformance.Options{Model: "test_resnet", ImageSize: 32})
}

func TestTransformers(t *testing.T) {
	onlyAll(t)
	each(t, transformers.New(host(t)), []conformance.Options{
		{Task: "image_classification", Model: "vit-tiny-patch16", ImageSize: 32}, {Task: "object_detection", Model: "yolos-tiny", ImageSize: 32},
	})
}

func TestUltralytics(t *testing.T) {
	onlyAll(t)
	each(t, ultralytics.New(host(t)), []conformance.Options{
		{Task: "object_detection", Model: "yolov8n", ImageSize: 64}, {Task: "instance_segmentation", Model: "yolov8n-seg", ImageSize: 64},
		{Task: "pose_estimation", Model: "yolov8n-pose", ImageSize: 64}, {Task: "image_classification", Model: "yolov8n-cls", ImageSize: 32},
	})
}

// each runs the suite for every task of an adapter.
func each(t *testing.T, a python.Adapter, tasks []conformance.Options) {
	t.Helper()
	for _, o := range tasks {
		t.Run(o.Task, func(t *testing.T) { run(t, a, o) })
	}
}

func onlyAll(t *testing.T) {
	t.Helper()
	if !*all {
		t.Skip("takes minutes; -all is not set")
	}
}

// own is a user's adapter in a file: the one that `adapters new` writes, with
// parts of its text replaced.
func own(t *testing.T, replace ...string) python.Adapter {
	t.Helper()
	h := host(t)
	text, err := os.ReadFile("../../internal/cli/template/adapter.py.txt")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mine.py")
	source := strings.NewReplacer(append([]string{"NAME", "mine"}, replace...)...).Replace(string(text))
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _, err := external.Try(t.Context(), pipelines.AdapterConfig{Name: "mine", Source: file}, h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestOwn: the adapter that users start from passes, its own field included.
func TestOwn(t *testing.T) {
	a := own(t)
	run(t, a, conformance.Options{})
	if *all {
		return
	}
	found := check(t, a, "EveryFieldCounts", except(a, "model.width", "optimizer.momentum", "label_smoothing", "mixed_precision"))
	if len(found.Failures) > 0 {
		t.Errorf("%+v", found)
	}
}

// TestEcho: an adapter that tells what it was asked for and builds something
// else fails, with the fields named.
func TestEcho(t *testing.T) {
	a := own(t,
		`self._config().get("model", {}).get("width", 16)`, `16`,
		`{"model.width": self.model[0].out_channels}`, `{"model.width": self._config().get("model", {}).get("width", 16), "label_smoothing": self._config()["label_smoothing"]}`,
		"        import torch\n", "        import torch\n        torch.nn.CrossEntropyLoss = lambda label_smoothing=0, make=torch.nn.CrossEntropyLoss: make()\n",
	)
	found := check(t, a, "EveryFieldCounts", except(a, "model.width", "optimizer.momentum", "label_smoothing"))
	var fields []string
	for _, f := range found.Failures {
		fields = append(fields, f.Field)
	}
	if fmt.Sprint(fields) != "[label_smoothing model.width]" || !strings.Contains(found.Failures[0].What, "no effect") {
		t.Fatalf("fields %v: %+v", fields, found)
	}
	guide, err := os.ReadFile("../../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{found.Failures[1].What, found.Fix} {
		if !strings.Contains(string(guide), line) {
			t.Errorf("docs/adapters.md shows such a failure, and lacks %q", line)
		}
	}
}

// TestUnread: a field that is declared and never read is named, too.
func TestUnread(t *testing.T) {
	a := own(t, `self._config().get("model", {}).get("width", 16)`, `16`, ` | {"model.width": self.model[0].out_channels}`, "")
	found := check(t, a, "EveryFieldCounts", except(a, "model.width"))
	if len(found.Failures) != 1 || found.Failures[0].Field != "model.width" || !strings.Contains(found.Failures[0].What, "never read") {
		t.Errorf("%+v", found)
	}
}

func except(a python.Adapter, fields ...string) map[string]string {
	skip := map[string]string{}
	s, _, _ := a.Schema("image_classification")
	for _, name := range s.Names() {
		skip[name] = "a sample"
	}
	for _, name := range fields {
		delete(skip, name)
	}
	return skip
}

func check(t *testing.T, a python.Adapter, name string, skip map[string]string) adaptertest.Finding {
	t.Helper()
	h, _, err := conformance.Harness(t.Context(), a, t.TempDir(), conformance.Options{Skip: skip, Slow: 5 * time.Minute, Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	var found adaptertest.Finding
	err = adaptertest.Check(t.Context(), h, t.TempDir(), []string{name}, func(f adaptertest.Finding) { found = f })
	if err != nil {
		t.Fatal(err)
	}
	return found
}
