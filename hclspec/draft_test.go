package hclspec_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
)

// written is a pipeline as it is being written: the rest of it stands in
// another file.
const written = `
pipeline "p" {}

variable "epochs" {
  type        = number
  default     = 7
  description = "Passes over the data"
}

variable "key" {
  default   = "abc"
  sensitive = true
}

locals {
  shared = { mixed_precision = true, nested = { depth = 3 } }
  한글     = "값 😀"
}

dataset "flowers" {
  format = "imagefolder"
  path   = "data"
}

model "resnet" {
  name = "resnet18"
}

model "finder" {
  adapter = "boxes"
  name    = "boxnet"
}

train "base" {
  model   = model.resnet
  dataset = dataset.flowers
  epochs  = 3
}

train "boxes" {
  model   = model.finder
  dataset = dataset.flowers
  epochs  = 3
}

train "search" {
  model   = model.resnet
  dataset = dataset.flowers
  epochs  = 3
  matrix  = { "learning_rate" = [0.1, 0.01] }
}

step "prepare" {
  command = ["true"]
  outputs = { clean = "data/clean" }
}

executor "dagger" "gpu" {}
`

// draft is the pipeline with text, in which | is the cursor, in a second file.
func draft(t *testing.T, text string) (*hclspec.Draft, hclspec.Cursor) {
	t.Helper()
	return draftOf(t, text, false)
}

func draftOf(t *testing.T, text string, writing bool) (*hclspec.Draft, hclspec.Cursor) {
	t.Helper()
	dir := t.TempDir()
	before, after, found := strings.Cut(text, "|")
	if !found {
		t.Fatal("no cursor in the text")
	}
	at := hclspec.Cursor{File: filepath.Join(dir, "work.hcl"), Byte: len(before), Writing: writing}
	opts := planOptions()
	opts.Open = map[string][]byte{filepath.Join(dir, "main.hcl"): []byte(written), at.File: []byte(before + after)}
	return hclspec.NewDraft(t.Context(), dir, opts, at), at
}

func TestComplete(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		want   string // labels that must be offered
		absent string // labels that must not
		apply  string // the text after the first wanted is taken
	}{
		"blocks":             {"tr|", "train model dataset executor check", "optimizer epochs", "train {"},
		"blocks of nothing":  {"|", "train pipeline", "epochs", "train {"},
		"arguments":          {"train \"x\" {\n  epochs = 3\n  ba|\n}", "batch_size model config start", "epochs name train", "train \"x\" {\n  epochs = 3\n  batch_size = \n}"},
		"name only":          {"train \"x\" {\n  ba| = 3\n}", "batch_size", "", "train \"x\" {\n  batch_size = 3\n}"},
		"unclosed block":     {"train \"x\" {\n  model = model.resnet\n  ep|", "epochs dataset", "name", "train \"x\" {\n  model = model.resnet\n  epochs = "},
		"nested block":       {"train \"x\" {\n  checkpoint {\n    ev|\n  }\n}", "every keep_last", "epochs", ""},
		"model":              {"train \"x\" {\n  model = |\n}", "model.resnet model.finder", "dataset.flowers dataset", "train \"x\" {\n  model = model.resnet\n}"},
		"after a dot":        {"train \"x\" {\n  model = model.|\n}", "resnet finder", "model.resnet", "train \"x\" {\n  model = model.resnet\n}"},
		"in a word":          {"train \"x\" {\n  model = model.re|s\n}", "resnet finder", "", "train \"x\" {\n  model = model.resnet\n}"},
		"checkpoint":         {"evaluate \"x\" {\n  checkpoint = tr|\n}", "train.base.best train.boxes.best", "", "evaluate \"x\" {\n  checkpoint = train.base.best\n}"},
		"results":            {"output \"x\" {\n  value = train.base.|\n}", "metrics best latest per_class", "outputs", "output \"x\" {\n  value = train.base.metrics\n}"},
		"metrics":            {"output \"x\" {\n  value = train.base.metrics.|\n}", "accuracy loss", "map", ""},
		"metrics of a task":  {"output \"x\" {\n  value = train.boxes.metrics.m|\n}", "map map50", "accuracy", ""},
		"checkpoint's parts": {"output \"x\" {\n  value = train.base.best.|\n}", "path epoch metrics", "accuracy", ""},
		"in a template":      {"check \"x\" {\n  condition = true\n  error_message = \"it is ${train.base.metrics.|}\"\n}", "accuracy", "", ""},
		"instances":          {"output \"x\" {\n  value = train.search[\"|\"]\n}", "learning_rate=0.1 learning_rate=0.01", "metrics", "output \"x\" {\n  value = train.search[\"learning_rate=0.1\"]\n}"},
		"of an instance":     {"output \"x\" {\n  value = train.search[\"learning_rate=0.1\"].|\n}", "metrics best", "", ""},
		"outputs":            {"dataset \"y\" {\n  path = step.prepare.outputs.|\n}", "clean", "run_id", ""},
		"variables":          {"train \"x\" {\n  epochs = var.|\n}", "epochs key", "flowers", ""},
		"locals":             {"train \"x\" {\n  config = local.shared.|\n}", "mixed_precision nested", "", ""},
		"deeper locals":      {"train \"x\" {\n  epochs = local.shared.nested.|\n}", "depth", "", ""},
		"korean":             {"output \"x\" {\n  value = local.한|\n}", "한글 shared", "", "output \"x\" {\n  value = local.한글\n}"},
		"executor":           {"train \"x\" {\n  executor = |\n}", "executor.dagger.gpu", "", ""},
		"executor's type":    {"train \"x\" {\n  executor = executor.|\n}", "dagger", "gpu", ""},
		"executor's name":    {"train \"x\" {\n  executor = executor.dagger.|\n}", "gpu", "dagger", ""},
		"typed label":        {"executor \"|\" \"x\" {\n}", "local dagger kubernetes", "", ""},
		"typed block":        {"executor \"kubernetes\" \"x\" {\n  |\n}", "image namespace volume", "slots", ""},
		"adapter":            {"model \"x\" {\n  adapter = |\n}", "native boxes", "", "model \"x\" {\n  adapter = \"native\"\n}"},
		"adapter in quotes":  {"model \"x\" {\n  adapter = \"na|\"\n}", "native boxes", "", "model \"x\" {\n  adapter = \"native\"\n}"},
		"model's name":       {"model \"x\" {\n  name = \"|\"\n}", "resnet18 convnet", "boxnet", ""},
		"adapter's models":   {"model \"x\" {\n  adapter = \"boxes\"\n  name = \"|\"\n}", "boxnet", "resnet18", ""},
		"task":               {"model \"x\" {\n  task = \"|\"\n}", "image_classification object_detection", "", ""},
		"preset":             {"train \"x\" {\n  model = model.resnet\n  preset = |\n}", "basic standard aggressive", "", ""},
		"device":             {"train \"x\" {\n  device = \"|\"\n}", "auto cpu cuda", "", ""},
		"causes":             {"train \"x\" {\n  retry {\n    on = [\"|\"]\n  }\n}", "oom preempted", "", ""},
		"flag":               {"model \"x\" {\n  pretrained = |\n}", "true false", "", ""},
		"config":             {"train \"x\" {\n  model = model.resnet\n  config {\n    |\n  }\n}", "optimizer scheduler mixed_precision", "type epochs", ""},
		"config's group":     {"train \"x\" {\n  model = model.resnet\n  config {\n    optimizer {\n      type = \"sgd\"\n      |\n    }\n  }\n}", "weight_decay momentum", "type mixed_precision", ""},
		"config's options":   {"train \"x\" {\n  model = model.resnet\n  config {\n    optimizer {\n      type = \"|\"\n    }\n  }\n}", "adam adamw sgd", "cosine", ""},
		"config's truth":     {"train \"x\" {\n  model = model.resnet\n  config {\n    mixed_precision = |\n  }\n}", "true false", "", ""},
		"adapter's config":   {"train \"x\" {\n  model = model.finder\n  config {\n    |\n  }\n}", "lr0", "optimizer", ""},
		"config as object":   {"train \"x\" {\n  model = model.resnet\n  config = {\n    optimizer = {\n      |\n    }\n  }\n}", "type weight_decay", "optimizer", ""},
		"option in object":   {"train \"x\" {\n  model = model.resnet\n  config = { optimizer = { type = \"ad|\" } }\n}", "adam adamw", "", "train \"x\" {\n  model = model.resnet\n  config = { optimizer = { type = \"adam\" } }\n}"},
		"axes":               {"train \"x\" {\n  model = model.resnet\n  matrix = { \"|\" = [1] }\n}", "learning_rate config.optimizer.type", "optimizer.type", ""},
		"axis' options":      {"train \"x\" {\n  model = model.resnet\n  matrix = {\n    \"config.optimizer.type\" = [\"adam\", \"|\"]\n  }\n}", "adam adamw sgd", "", ""},
		"functions":          {"locals {\n  x = ma|\n}", "max var train", "", ""},
		"one line":           {"locals { x = var.| }", "epochs", "", "locals { x = var.epochs }"},
		"after broken text":  {"train \"y\" {\n  model = = =\n}\n\ntrain \"x\" {\n  model = model.|\n}", "resnet", "", ""},
		"unclosed bracket":   {"train \"y\" {\n  depends_on = [train.base\n}\n\ntrain \"x\" {\n  mo|\n}", "model", "", ""},
		"comment":            {"# mo|", "", "train", ""},
		"heredoc":            {"locals {\n  x = <<E\n  mo|\nE\n}", "", "model train", ""},
		"behind a comment":   {"train \"x\" { # first\n  mo|\n}", "model monitor", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, at := draftOf(t, c.text, true)
			var labels []string
			items := d.Complete(at)
			for _, i := range items {
				labels = append(labels, i.Label)
			}
			for _, w := range strings.Fields(c.want) {
				if !slices.Contains(labels, w) {
					t.Errorf("%q is not among %q", w, labels)
				}
			}
			for _, w := range strings.Fields(c.absent) {
				if slices.Contains(labels, w) {
					t.Errorf("%q is among %q", w, labels)
				}
			}
			if c.apply != "" && !t.Failed() {
				i := items[slices.Index(labels, strings.Fields(c.want)[0])]
				text := strings.Replace(c.text, "|", "", 1)
				if got := text[:i.From] + i.Insert + text[i.To:]; got != c.apply {
					t.Errorf("taken:\n%s\nwant:\n%s", got, c.apply)
				}
			}
		})
	}
}

func TestHover(t *testing.T) {
	for text, want := range map[string]string{
		"tr|ain \"x\" {}":                     "```hcl",
		"train \"x\" {\n  ba|tch_size = 3\n}": "default 32",
		"train \"x\" {\n  model = model.resnet\n  config {\n    optimizer {\n      weight_|decay = 1\n    }\n  }\n}": "maximum: 1",
		"train \"x\" {\n  model = model.resnet\n  config {\n    optimizer {\n      weight_deca|y = 1\n    }\n  }\n}": "a change on resume: apply",
		"train \"x\" {\n  model = mo|del.resnet\n}":                                                                       "`model.resnet`, declared in main.hcl",
		"train \"x\" {\n  model = model.res|net\n}":                                                                       "native resnet18",
		"train \"x\" {\n  epochs = var.epo|chs\n}":                                                                        "```hcl\n7\n```",
		"train \"x\" {\n  epochs = |var.epochs\n}":                                                                        "Passes over the data",
		"train \"x\" {\n  env = { A = var.k|ey }\n}":                                                                      "(sensitive)",
		"output \"x\" {\n  value = train.base.metrics.acc|uracy\n}":                                                       "`train.base.metrics.accuracy`: number",
		"output \"x\" {\n  value = train.sea|rch\n}":                                                                      "2 instances",
		"model \"x\" {\n  name = \"res|net18\"\n}":                                                                        "224 px",
		"model \"x\" {\n  adapter = \"|boxes\"\n  name = \"boxnet\"\n}":                                                   "AGPL-3.0",
		"executor \"kuber|netes\" \"x\" {}":                                                                               "runs each attempt as a Job",
		"executor \"kubernetes\" \"x\" {\n  name|space = 1\n}":                                                            "which cluster",
		"locals {\n  x = m|ax(1, 2)\n}":                                                                                   "max(numbers…)",
		"output \"x\" {\n  value = local.한|글\n}":                                                                          "값 😀",
		"train \"x\" {\n  model = model.resnet\n  config {\n    optimizer {\n      type = \"ad|amw\"\n    }\n  }\n}":      "Option of `optimizer.type`",
		"train \"x\" {\n  model = model.resnet\n  matrix = { \"config.optimi|zer.type\" = [\"adam\"] }\n}":                "`optimizer.type`",
		"train \"x\" {\n  model = model.resnet\n  config = {\n    optimizer = { weight_dec|ay = 0.1 }\n  }\n  bro = =\n}": "maximum: 1",
	} {
		d, at := draft(t, text)
		h := d.Hover(at)
		if h == nil || !strings.Contains(h.Text, want) {
			t.Errorf("%s: got %+v, want %q", text, h, want)
		}
	}
	for _, text := range []string{"|", "# trai|n", "train \"x\" {\n  epochs = 1|2\n}", "train \"x\" {\n  nonsen|se = 1\n}", "locals {\n  x = nonsense(|)\n}"} {
		d, at := draft(t, text)
		if h := d.Hover(at); h != nil {
			t.Errorf("%s: %q", text, h.Text)
		}
	}
}

func TestHoverKeepsSecrets(t *testing.T) {
	d, at := draft(t, "output \"x\" {\n  value = var.ke|y\n}")
	if h := d.Hover(at); h == nil || strings.Contains(h.Text, "abc") {
		t.Errorf("%+v", h)
	}
}

func TestDefinitionAndReferences(t *testing.T) {
	for text, line := range map[string]int{
		"train \"x\" {\n  model = model.res|net\n}":              25,
		"train \"x\" {\n  model = mod|el.resnet\n}":              25,
		"train \"x\" {\n  epochs = var.epochs|\n}":               4,
		"output \"x\" {\n  value = local.shar|ed.nested\n}":      16,
		"output \"x\" {\n  value = \"${train.ba|se.run_id}\"\n}": 34,
		"train \"x\" {\n  executor = executor.dagger.g|pu\n}":    58,
	} {
		d, at := draft(t, text)
		got := d.Definition(at)
		if len(got) != 1 || filepath.Base(got[0].Filename) != "main.hcl" || got[0].Start.Line != line {
			t.Errorf("%s: %+v, want line %d", text, got, line)
		}
	}
	d, at := draft(t, "train \"x\" {\n  model = model.res|net\n  dataset = dataset.flowers\n  epochs = 1\n}")
	if got := d.References(at, true); len(got) != 4 { // its block, base, search and x
		t.Errorf("%+v", got)
	}
	d, at = draft(t, "variable \"o|wn\" {}\nlocals {\n  y = var.own\n}")
	if got := d.References(at, false); len(got) != 1 || got[0].Start.Line != 3 {
		t.Errorf("%+v", got)
	}
}

func TestSymbols(t *testing.T) {
	got := hclspec.Symbols([]byte("train \"한\" {\n  config {\n    a = 1\n  }\n  epochs = 1\n}\ncheck \"c\" {"), "x.hcl")
	if len(got) != 2 || got[0].Name != `train "한"` || len(got[0].Children) != 2 || got[0].Children[0].Children[0].Name != "a" || got[0].Range.End.Line != 6 {
		t.Errorf("%+v", got)
	}
}

// TestDraftsOfAnything: whatever stands in the file and wherever the cursor
// is, there is an answer.
func TestDraftsOfAnything(t *testing.T) {
	text := written + "check \"c\" {\n  condition = alltrue([for x in train.search : x.metrics.accuracy > 0.5 && \"${x.run_id}\" != <<E\n a ${1}\nE\n ])\n}\n"
	for n := 0; n < len(text); n += 23 {
		for _, cut := range []string{text[:n], text[n:], text[:n] + "{" + text[n:], text[:n] + "\"" + text[n:]} {
			at := min(n, len(cut))
			d, c := draft(t, strings.ReplaceAll(cut[:at], "|", "")+"|"+strings.ReplaceAll(cut[at:], "|", ""))
			for _, i := range d.Complete(c) {
				if i.From < 0 || i.To < i.From || i.From > c.Byte || i.To < c.Byte && i.To != i.From {
					t.Fatalf("%q at %d: %+v", cut, at, i)
				}
			}
			d.Hover(c)
			d.Definition(c)
			d.References(c, true)
		}
	}
}
