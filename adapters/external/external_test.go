package external_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/adapters/external"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/pipelines"
)

const described = `{"format": 1, "key": %q, "name": "tiny", "license": "MIT", "version": "3", "numerics": 2, "formats": ["imagefolder"], "kinds": ["train"],
"models": [{"model_name": "net", "framework": "tiny", "task_types": ["image_classification"], "default_image_size": 16}],
"tasks": {"image_classification": {"schema": {"fields": [
  {"name": "optimizer.type", "type": "select", "default": "sgd", "options": [{"value": "sgd"}, {"value": "adam"}]},
  {"name": "depth", "type": "integer", "default": 3, "min": 1, "max": 9, "condition": {"field": "optimizer.type", "value": ["sgd"]}},
  {"name": "rate", "type": "number", "default": 1}]},
 "presets": {"basic": {"depth": 2, "rate": 2}}}}}`

func declared(t *testing.T) (dir string, c pipelines.AdapterConfig) {
	t.Helper()
	dir = t.TempDir()
	c = pipelines.AdapterConfig{Name: "mine", Source: filepath.Join(dir, "my_adapter.py")}
	write(t, c.Source, "model = 1\n")
	return dir, c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	dir, c := declared(t)
	key, err := python.SourceKey(c.Source, python.Requirements{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, external.Path(dir, "mine"), fmt.Sprintf(described, key))
	a, err := external.Load(dir, c, python.Host{Cache: dir})
	if err != nil {
		t.Fatal(err)
	}
	info := a.Info()
	if info.Name != "mine" || info.License != "MIT" || info.Numerics != 2 || info.Tasks[0] != "image_classification" {
		t.Errorf("info: %+v", info)
	}
	if m := a.Models("image_classification"); len(m) != 1 || m[0].Framework != "mine" || len(a.Models("object_detection")) != 0 {
		t.Errorf("models: %+v", m)
	}
	s, presets, ok := a.Schema("image_classification")
	depth, _ := s.Field("depth")
	rate, _ := s.Field("rate")
	if !ok || depth.Default != int64(3) || rate.Default != 1.0 || presets["basic"]["depth"] != int64(2) || presets["basic"]["rate"] != 2.0 {
		t.Errorf("values have other types than the schema's: %#v, %#v, %#v", depth.Default, rate.Default, presets)
	}
	if _, inactive := s.Inactive(map[string]any{"optimizer.type": "adam", "depth": int64(3)})["depth"]; !inactive || depth.Condition == nil {
		t.Error("the condition got lost")
	}
	// The source changes: the description is stale.
	write(t, c.Source, "model = 2\n")
	_, err = external.Load(dir, c, python.Host{Cache: dir})
	if pipelines.CodeOf(err) != pipelines.CodeStale || !strings.Contains(err.Error(), "runner adapters describe") {
		t.Errorf("a stale description is told as: %v", err)
	}
}

func TestLoadTellsWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(t *testing.T, dir string, c *pipelines.AdapterConfig)
	}{
		{"no description", "runner adapters describe", func(*testing.T, string, *pipelines.AdapterConfig) {}},
		{"no source", "source cannot be read", func(_ *testing.T, dir string, c *pipelines.AdapterConfig) { c.Source = filepath.Join(dir, "gone.py") }},
		{"a folder", "without __init__.py", func(_ *testing.T, dir string, c *pipelines.AdapterConfig) { c.Source = dir }},
		{"no requirements", "requirements cannot be read", func(_ *testing.T, dir string, c *pipelines.AdapterConfig) {
			c.Requirements = filepath.Join(dir, "gone.txt")
		}},
		{"torn description", "cannot be used", func(t *testing.T, dir string, c *pipelines.AdapterConfig) { write(t, external.Path(dir, c.Name), "{") }},
		{"a default that breaks its own rule", "must be between 1 and 2", func(t *testing.T, dir string, c *pipelines.AdapterConfig) {
			write(t, external.Path(dir, c.Name), strings.Replace(fmt.Sprintf(described, "x"), `"max": 9`, `"max": 2`, 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, config := declared(t)
			c.spoil(t, dir, &config)
			if _, err := external.Load(dir, config, python.Host{Cache: dir}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("told as %v, want %q in it", err, c.want)
			}
		})
	}
}
