package submit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// tiny is a catalog of one adapter with one model.
type tiny struct{}

func (tiny) Adapters() []hclspec.Adapter {
	return []hclspec.Adapter{{Name: "tiny", Tasks: []string{"image_classification"}, Formats: []string{"imagefolder"}, Devices: []string{"cpu"}, Kinds: []string{"train", "evaluate", "export"}}}
}
func (tiny) Models(string, string) []hclspec.Model {
	return []hclspec.Model{{Name: "m", Tasks: []string{"image_classification"}, ImageSize: 8}}
}
func (tiny) Schema(string, string) (schema.Schema, schema.Presets, bool) {
	return schema.Schema{}, nil, true
}

const base = `
pipeline "p" {}
variable "v" {
  type    = string
  default = "x"
}
model "m" {
  adapter = "tiny"
  name    = "m"
}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = 1
}
`

// TestWhatSubmissionsMayNotSay holds each refusal against its place.
func TestWhatSubmissionsMayNotSay(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/nowhere", filepath.Join(root, "dangling")); err != nil {
		t.Fatal(err)
	}
	p := Policy{DataRoot: root, Env: []string{"OPEN"}, Images: []string{"ghcr.io/acme/*", "alpine:3"},
		Executors: []Rule{{Type: "kubernetes", Arguments: map[string]string{"namespace": "ml"}}, {Type: "remote", Arguments: map[string]string{"url": "https://box"}}},
		Artifacts: []Rule{{Type: "s3", Arguments: map[string]string{"bucket": "models", "prefix": "team", "endpoint": "https://s3.box"}}, {Type: "s3", Arguments: map[string]string{"bucket": "open"}}, {Type: "dir", Arguments: map[string]string{"path": "/mnt/models"}}}}
	environ := func(name string) (string, bool) { return "value-of-" + name, true }
	dataset := func(path string) string { return strings.Replace(base, `"data"`, path, 1) }
	in := func(block string) string { return strings.Replace(base, "epochs  = 1", "epochs  = 1\n"+block, 1) }
	for name, c := range map[string]struct{ text, at string }{
		"fine":                  {base, ""},
		"fine, deeper":          {dataset(`"a/../b/c"`), ""},
		"fine, allowed env":     {dataset(`env("OPEN")`), ""},
		"fine, allowed cluster": {base + `executor "kubernetes" "x" { ` + "\nimage = \"ghcr.io/acme/x\"\nnamespace = \"ml\"\ngpus = 1\n}", ""},
		"fine, step env":        {in(`env = { OPEN = "1" }`), ""},
		"absolute":              {dataset(`"/etc"`), `"/etc"`},
		"parent":                {dataset(`"../x"`), `"../x"`},
		"link":                  {dataset(`"link/ssh"`), `"link`},
		"link to nowhere":       {dataset(`"dangling/x"`), `"dangling`},
		"address":               {dataset(`"s3://bucket/x"`), `"s3:`},
		"metadata address":      {dataset(`"http://169.254.169.254/"`), `"http:`},
		"file":                  {dataset(`file("/etc/passwd")`), `file(`},
		"env":                   {dataset(`env("HOME")`), `env(`},
		"env with default":      {dataset(`env("HOME", "x")`), `env(`},
		"secret":                {in(`env = { OPEN = secret("TOKEN") }`), `secret(`},
		"variable's path":       {dataset(`"/${var.v}"`), `"/${`},
		"weights":               {strings.Replace(base, `"m"`+"\n}", `"m"`+"\nweights = \"/root/w\"\n}", 1), `"/root/w"`},
		"start":                 {in("start {\n checkpoint = \"/root/c\"\n}"), `"/root/c"`},
		"LD_PRELOAD":            {in(`env = { LD_PRELOAD = "/x.so" }`), `{ LD_PRELOAD`},
		"store":                 {strings.Replace(base, `"p" {}`, "\"p\" {\n store = \"/x.db\"\n}", 1), `"/x.db"`},
		"adapter":               {base + "adapter \"mine\" {\n source = \"./x.py\"\n}", `adapter "mine"`},
		"executor":              {base + "executor \"dagger\" \"x\" {\n image = \"alpine:3\"\n}", `executor "dagger"`},
		"remote":                {base + "executor \"remote\" \"x\" {\n url = \"http://10.0.0.1\"\n}", `executor "remote"`},
		"fine, allowed remote":  {base + "executor \"remote\" \"x\" {\n url = \"https://box\"\n token = \"t\"\n gpus = 1\n}", ""},
		"remote, another":       {base + "executor \"remote\" \"x\" {\n url = \"https://box.evil\"\n}", `executor "remote"`},
		"image":                 {base + "executor \"kubernetes\" \"x\" {\n image = \"evil/x\"\nnamespace = \"ml\"\n}", `executor "kubernetes"`},
		"image by prefix":       {base + "executor \"kubernetes\" \"x\" {\n image = \"alpine:33\"\nnamespace = \"ml\"\n}", `executor "kubernetes"`},
		"namespace":             {base + "executor \"kubernetes\" \"x\" {\n image = \"alpine:3\"\nnamespace = \"kube-system\"\n}", `executor "kubernetes"`},
		"no namespace":          {base + "executor \"kubernetes\" \"x\" {\n image = \"alpine:3\"\n}", `executor "kubernetes"`},
		"service account":       {base + "executor \"kubernetes\" \"x\" {\n image = \"alpine:3\"\nservice_account = \"admin\"\n}", `executor "kubernetes"`},
		"artifacts":             {base + "artifacts \"dir\" {\n path = \"/x\"\n}", `artifacts "dir"`},
		"fine, allowed folder":  {base + "artifacts \"dir\" {\n path = \"/mnt/models\"\n}", ""},
		"fine, allowed bucket":  {base + "artifacts \"s3\" {\n bucket = \"models\"\n prefix = \"team\"\n endpoint = \"https://s3.box\"\n access_key_id = \"k\"\n secret_access_key = secret(\"OPEN\")\n path_style = true\n}", ""},
		"fine, a whole bucket":  {base + "artifacts \"s3\" {\n bucket = \"open\"\n}", ""},
		"folder above":          {base + "artifacts \"dir\" {\n path = \"/mnt\"\n}", `artifacts "dir"`},
		"another bucket":        {base + "artifacts \"s3\" {\n bucket = \"others\"\n}", `artifacts "s3"`},
		"another prefix":        {base + "artifacts \"s3\" {\n bucket = \"models\"\n prefix = \"team2\"\n endpoint = \"https://s3.box\"\n}", `artifacts "s3"`},
		"no prefix":             {base + "artifacts \"s3\" {\n bucket = \"models\"\n endpoint = \"https://s3.box\"\n}", `artifacts "s3"`},
		"another service":       {base + "artifacts \"s3\" {\n bucket = \"open\"\n endpoint = \"http://169.254.169.254\"\n}", `artifacts "s3"`},
		"no service":            {base + "artifacts \"s3\" {\n bucket = \"models\"\n prefix = \"team\"\n}", `artifacts "s3"`},
		"a sensitive bucket":    {base + "artifacts \"s3\" {\n bucket = secret(\"OPEN\")\n}", `artifacts "s3"`},
		"tracker":               {base + "tracker \"mlflow\" {\n uri = \"http://10.0.0.1\"\n}", `tracker "mlflow"`},
		"webhook":               {base + "notify \"webhook\" {\n url = \"http://169.254.169.254/\"\n}", `notify "webhook"`},
	} {
		pipe, _, diags, err := p.Load(context.Background(), ".", Submission{Files: map[string]string{"main.hcl": c.text}},
			hclspec.Options{Environ: environ, Catalog: tiny{}, Validate: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.at == "" {
			if diags.HasErrors() || pipe == nil {
				t.Errorf("%s: %v", name, diags)
			}
			continue
		}
		ok := pipe == nil
		for _, d := range diags {
			ok = ok && d.Summary == hclspec.SummaryNotAllowed && d.Subject != nil && d.Subject.Start.Byte == strings.Index(c.text, c.at)
		}
		if !ok || len(diags) != 1 {
			t.Errorf("%s: %v; want one refusal at %s", name, diags, c.at)
		}
	}
	if _, _, diags, _ := (Policy{}).Load(context.Background(), ".", Submission{Files: map[string]string{"main.hcl": base}}, hclspec.Options{Catalog: tiny{}, Validate: true}); !diags.HasErrors() {
		t.Error("a path without a data root is taken")
	}
}

// TestSensitiveImages: a name that is hidden is held against no list.
func TestSensitiveImages(t *testing.T) {
	p := Policy{DataRoot: t.TempDir(), Env: []string{"OPEN"}, Images: []string{"alpine:3"}, Executors: []Rule{{Type: "dagger"}}}
	for image, ok := range map[string]bool{`"alpine:3"`: true, `"evil/x"`: false, `secret("OPEN")`: false} {
		pipe, _, diags, err := p.Load(context.Background(), ".", Submission{Files: map[string]string{"main.hcl": base + "executor \"dagger\" \"x\" {\n image = " + image + "\n}"}},
			hclspec.Options{Environ: func(string) (string, bool) { return "evil/x", true }, Catalog: tiny{}, Validate: true})
		if err != nil || (pipe != nil) != ok || ok == diags.HasErrors() {
			t.Errorf("%s: %v %v", image, diags, err)
		}
	}
}

// TestLateValuesAreHeldAgainstThePolicy resolves a path that comes to be known
// while the pipeline runs.
func TestLateValuesAreHeldAgainstThePolicy(t *testing.T) {
	text := strings.Replace(base, "model \"m\" {", `
train "second" {
  model   = model.m
  dataset = dataset.d
  epochs  = 1

  start {
    checkpoint = "/${train.t.best.name}"
  }
}
model "m" {`, 1)
	p := Policy{DataRoot: t.TempDir()}
	pipe, _, diags, err := p.Load(context.Background(), ".", Submission{Files: map[string]string{"main.hcl": text}}, hclspec.Options{Catalog: tiny{}})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	for _, s := range pipe.Steps {
		if s.Name != "second" {
			continue
		}
		if _, err := s.Resolve(pipelines.Results{}); err != nil {
			t.Errorf("before it is known: %v", err)
		}
		best := &pipelines.Checkpoint{Name: "etc/shadow", Path: "/run/best"}
		if _, err := s.Resolve(pipelines.Results{"train.t": {Best: best}}); err == nil || !strings.Contains(err.Error(), "/etc/shadow") {
			t.Errorf("once it is known: %v", err)
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	for name, ok := range map[string]bool{
		"main.hcl": true, "runner.vars.hcl": true, "a.auto.vars.hcl": true, ".runner.lock.hcl": true,
		"a.vars.hcl": false, "../main.hcl": false, "a/b.hcl": false, ".x.hcl": false, "x.rtest.hcl": false, "x.txt": false, "": false, "a\x00.hcl": false, "-rf.hcl": false,
	} {
		if err := (Submission{Files: map[string]string{name: ""}}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSavingIsConfinedAndLosesNothing(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	if err := os.Symlink(out, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"..", "a/b", "/tmp/x", ".git", "", "link"} {
		if _, err := Save(root, dir, map[string]string{"main.hcl": "x"}, nil); err == nil {
			t.Errorf("saved in %q", dir)
		}
	}
	first, err := Save(root, "p", map[string]string{"main.hcl": "one"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Save(root, "p", map[string]string{"main.hcl": "one", "b.hcl": "b"}, nil); err != nil {
		t.Errorf("the same text again: %v", err)
	}
	for _, replaces := range []map[string]string{nil, {"main.hcl": "0123"}} {
		if _, err := Save(root, "p", map[string]string{"main.hcl": "two", "new.hcl": "n"}, replaces); pipelines.CodeOf(err) != pipelines.CodeConflict {
			t.Errorf("overwritten unseen: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "p", "new.hcl")); err == nil {
		t.Error("a refused save wrote a file")
	}
	if err := os.Symlink(filepath.Join(out, "x.hcl"), filepath.Join(root, "p", "l.hcl")); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(root, "p", map[string]string{"l.hcl": "x"}, nil); err == nil {
		t.Error("a link was followed")
	}
	if _, err := Save(root, "p", map[string]string{"main.hcl": "two"}, map[string]string{"main.hcl": first[0].SHA256}); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(filepath.Join(root, "p", "main.hcl")); string(text) != "two" {
		t.Errorf("%q", text)
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("something was written outside: %v", left)
	}
}
