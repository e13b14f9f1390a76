package hclspec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolderIsOnePipeline(t *testing.T) {
	dir := folder(t, map[string]string{
		"main.hcl":             "pipeline \"p\" {}\noutput \"a\" {\n value = \"${var.a} ${var.b} ${var.c}\"\n}\n",
		"variables.hcl":        "variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" {\n default = \"default\"\n}\n",
		"runner.vars.hcl":      "a = \"runner\"\nb = \"runner\"\n",
		"b.auto.vars.hcl":      "b = \"auto\"\n",
		"small.vars.hcl":       "a = \"small\"\n",
		"x.rtest.hcl":          "broken {",
		".runner.lock.hcl":     "broken {",
		"#main.hcl#":           "broken {",
		"nested/other.hcl":     "broken {",
		"README.md":            "not HCL",
		"main.hcl.disabled":    "broken {",
		"nested/deep/more.hcl": "broken {",
	})
	p, _, diags := hclspec.Load(t.Context(), dir, planOptions())
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	v, _, err := p.Outputs[0].Evaluate(nil)
	if err != nil || v != "runner auto default" {
		t.Error(v, err)
	}
	var names []string
	for _, s := range p.Sources {
		names = append(names, s.Filename)
	}
	if got := fmt.Sprint(names); got != "[main.hcl variables.hcl runner.vars.hcl b.auto.vars.hcl]" || p.Dir != dir {
		t.Error(got, p.Dir)
	}
	// The sources alone, as a plan file holds them, make the same pipeline.
	opts := planOptions()
	opts.Sources = p.Sources
	again, _, diags := hclspec.Load(t.Context(), dir, opts)
	if len(diags) > 0 || again.Name != "p" || again.Variables["b"].Value != "auto" {
		t.Error(diags, again)
	}
}

func TestFileStaysInTheFolder(t *testing.T) {
	read := func(path string) string {
		return fmt.Sprintf("pipeline \"p\" {}\noutput \"x\" {\n value = file(%q)\n}\n", path)
	}
	dir := folder(t, map[string]string{"notes/a.txt": "hello", "main.hcl": read("notes/a.txt"), "binary": "\xff\xfe"})
	outside := folder(t, map[string]string{"secret.txt": "hunter2"})
	if err := os.Symlink(filepath.Join(outside, "secret.txt"), filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	p, _, diags := hclspec.Load(t.Context(), dir, planOptions())
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if v, _, _ := p.Outputs[0].Evaluate(nil); v != "hello" {
		t.Error(v)
	}
	for path, why := range map[string]string{
		"link.txt": "escapes", "../" + filepath.Base(outside) + "/secret.txt": "leads out", outside + "/secret.txt": "leads out",
		"notes": "not a regular file", "nowhere.txt": "no such file", "binary": "not UTF-8", "/dev/zero": "leads out",
	} {
		os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(read(path)), 0o644)
		_, _, diags := hclspec.Load(t.Context(), dir, planOptions())
		if len(diags) != 1 || diags[0].Summary != "Cannot read file" || !strings.Contains(diags[0].Detail, why) {
			t.Errorf("%s: %v", path, diags)
		}
	}
}

func TestSingleFile(t *testing.T) {
	dir := folder(t, map[string]string{"one.hcl": "pipeline \"one\" {}\n", "two.hcl": "pipeline \"two\" {}\n", "runner.vars.hcl": "x = 1\n"})
	p, _, diags := hclspec.Load(t.Context(), filepath.Join(dir, "two.hcl"), planOptions())
	if len(diags) > 0 || p.Name != "two" || p.Dir != dir {
		t.Error(p, diags)
	}
}

func TestRequiredVersion(t *testing.T) {
	for constraint, fits := range map[string]bool{">= 0.1": true, ">= 0.1, < 1": true, "~> 0.1": true, "= 0.1.0": true, "> 0.1": false, ">= 2": false, "!= 0.1.0": false} {
		_, out := loadText(t, fmt.Sprintf("pipeline \"p\" {\n required_version = %q\n}\n", constraint), planOptions())
		if strings.Contains(out, "Unsupported runner version") == fits {
			t.Errorf("%s: %s", constraint, out)
		}
	}
}
