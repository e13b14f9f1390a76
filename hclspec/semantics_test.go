package hclspec_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// step finds a step by address.
func step(t testing.TB, p *pipelines.Pipeline, a string) pipelines.Step {
	t.Helper()
	if p == nil {
		t.Fatal("the pipeline did not load")
	}
	i := slices.IndexFunc(p.Steps, func(s pipelines.Step) bool { return s.Address == pipelines.Address(a) })
	if i < 0 {
		t.Fatalf("no step %s", a)
	}
	return p.Steps[i]
}

// resolve resolves a step and fails the test on errors.
func resolve(t testing.TB, p *pipelines.Pipeline, a string, results pipelines.Results) pipelines.Spec {
	t.Helper()
	spec, err := step(t, p, a).Resolve(results)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// must loads text that has no problems.
func must(t testing.TB, text string, opts hclspec.Options) *pipelines.Pipeline {
	t.Helper()
	p, out := loadText(t, text, opts)
	if p == nil || out != "" {
		t.Fatal(out)
	}
	return p
}

func addresses(p *pipelines.Pipeline) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, string(s.Address))
	}
	return out
}

func TestStepsFollowWhatTheyNeed(t *testing.T) {
	p := must(t, base(`
evaluate "e" {
  checkpoint = local.best
  dataset    = dataset.d
}
locals {
  best = best_of(train.s, "loss", "min").best
}
train "s" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix  = {
    "learning_rate"         = [1e-3, 3e-4]
    "config.optimizer.type" = ["adamw", "sgd"]
  }
}
`), planOptions())
	want := []string{
		`train.s["learning_rate=0.001,config.optimizer.type=adamw"]`, `train.s["learning_rate=0.001,config.optimizer.type=sgd"]`,
		`train.s["learning_rate=0.0003,config.optimizer.type=adamw"]`, `train.s["learning_rate=0.0003,config.optimizer.type=sgd"]`, "evaluate.e",
	}
	if got := strings.Join(addresses(p), "\n"); got != strings.ReplaceAll(strings.Join(want, "\n"), `"`, `"`) {
		t.Errorf("steps:\n%s", got)
	}
	e := step(t, p, "evaluate.e")
	if len(e.Needs) != 4 || e.Model != "convnet" || e.Adapter != "native" || e.Task != "image_classification" {
		t.Errorf("%+v", e)
	}
	spec := resolve(t, p, "evaluate.e", nil)
	if len(spec.Unknown["evaluate.checkpoint"]) != 4 {
		t.Errorf("unknown: %v", spec.Unknown)
	}
	results := pipelines.Results{}
	for i, a := range addresses(p)[:4] {
		results[pipelines.Address(a)] = pipelines.Result{Metrics: map[string]float64{"loss": []float64{3, math.NaN(), 1, 2}[i]}, Best: &pipelines.Checkpoint{Name: "best", Path: fmt.Sprint("/run", i)}}
	}
	spec = resolve(t, p, "evaluate.e", results)
	if spec.Evaluate.Checkpoint.Path != "/run2" || len(spec.Unknown) != 0 || spec.Evaluate.Split != "val" {
		t.Errorf("%+v %v", spec.Evaluate, spec.Unknown)
	}
}

func TestConfigOrigins(t *testing.T) {
	p := must(t, base(`
train "t" {
  model         = model.m
  dataset       = dataset.d
  epochs        = 10
  learning_rate = 0.5
  preset        = "standard"
  config {
    mixed_precision = false
  }
  matrix = {
    "config.mixed_precision" = [true]
  }
}
`), planOptions())
	spec := resolve(t, p, `train.t["config.mixed_precision=true"]`, nil)
	for name, want := range map[string]string{
		"optimizer.learning_rate": `0.5 train`, "optimizer.type": `adamw preset`, "optimizer.weight_decay": `0.01 preset`,
		"scheduler.T_max": `10 preset derived=epochs`, "mixed_precision": `true matrix replaced=false`,
		"optimizer.momentum": `0 default inactive=optimizer.type is "adamw"`, "gradient_clip_value": `0 default`,
	} {
		s := spec.Train.Config[name]
		got := fmt.Sprint(s.Value, " ", s.Origin)
		if s.Derived != "" {
			got += " derived=" + s.Derived
		}
		if s.Replaced != nil {
			got += fmt.Sprint(" replaced=", s.Replaced)
		}
		if s.Inactive != "" {
			got += " inactive=" + s.Inactive
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if spec.Train.LearningRate != 0.5 || spec.Train.Monitor != "accuracy" || spec.Train.Mode != "max" || spec.Train.BatchSize != 32 || spec.Train.Device != "auto" {
		t.Errorf("%+v", spec.Train)
	}
	if r := spec.Train.Config["mixed_precision"].Range; r.Start.Line != 21 {
		t.Errorf("the range is that of the cell, not line %d", r.Start.Line)
	}
}

func TestLearningRateIsOneValue(t *testing.T) {
	for name, body := range map[string]string{
		"train":  "learning_rate = 0.5",
		"config": "config {\n optimizer {\n learning_rate = 0.5\n }\n }",
		"both":   "learning_rate = 0.5\n config {\n optimizer {\n learning_rate = 0.5\n }\n }",
		"object": "config = merge(local.shared, { optimizer = { learning_rate = 0.5 } })",
		"matrix": "learning_rate = 0.1\n matrix = { \"config.optimizer.learning_rate\" = [0.5] }",
	} {
		p := must(t, base("locals {\n shared = { mixed_precision = true }\n}\ntrain \"t\" {\n model = model.m\n dataset = dataset.d\n epochs = 1\n "+body+"\n}\n"), planOptions())
		spec, err := p.Steps[0].Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		if spec.Train.LearningRate != 0.5 || spec.Train.Config["optimizer.learning_rate"].Value != 0.5 {
			t.Errorf("%s: %v %v", name, spec.Train.LearningRate, spec.Train.Config["optimizer.learning_rate"])
		}
	}
}

func TestForEachCarriesLateValues(t *testing.T) {
	p := must(t, base(`
train "s" {
  model    = model.m
  dataset  = dataset.d
  for_each = { small = 1, large = 5 }
  epochs   = each.value
  seed     = each.key == "small" ? 1 : 2
}
evaluate "e" {
  for_each   = train.s
  checkpoint = each.value.best
  dataset    = dataset.d
}
`), planOptions())
	if got := strings.Join(addresses(p), " "); got != `train.s["large"] train.s["small"] evaluate.e["large"] evaluate.e["small"]` {
		t.Fatal(got)
	}
	if spec := resolve(t, p, `train.s["large"]`, nil); spec.Train.Epochs != 5 || spec.Train.Seed != 2 {
		t.Errorf("%+v", spec.Train)
	}
	spec := resolve(t, p, `evaluate.e["small"]`, nil)
	if got := fmt.Sprint(spec.Unknown); got != `map[evaluate.checkpoint:[train.s["small"]]]` {
		t.Error(got)
	}
	spec = resolve(t, p, `evaluate.e["small"]`, pipelines.Results{`train.s["small"]`: {Best: &pipelines.Checkpoint{Path: "/best"}}})
	if spec.Evaluate.Checkpoint.Path != "/best" || len(spec.Unknown) != 0 {
		t.Errorf("%+v %v", spec.Evaluate, spec.Unknown)
	}
}

func TestStartReplacesModelWeights(t *testing.T) {
	p := must(t, `
pipeline "t" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name       = "resnet18"
  pretrained = true
  freeze     = ["layer1.*"]
}
train "a" {
  model   = model.m
  dataset = dataset.d
  epochs  = 1
}
train "b" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  start {
    checkpoint = train.a.latest
    mode       = "resume"
  }
}
`, planOptions())
	a, b := resolve(t, p, "train.a", nil), resolve(t, p, "train.b", nil)
	if !a.Model.Pretrained || b.Model.Pretrained || b.Train.Start.Mode != pipelines.StartResume || len(b.Unknown["train.start.checkpoint"]) != 1 {
		t.Errorf("%+v %+v %+v", a.Model, b.Model, b.Train.Start)
	}
	b = resolve(t, p, "train.b", pipelines.Results{"train.a": {Latest: &pipelines.Checkpoint{RunID: "r", Path: "/x", SHA256: "s", Epoch: 1, GlobalStep: 7, Metrics: map[string]float64{"loss": 2}}}})
	if c := b.Train.Start.Checkpoint; c.RunID != "r" || c.Epoch != 1 || c.GlobalStep != 7 || c.Metrics["loss"] != 2 {
		t.Errorf("%+v", c)
	}
	if _, err := step(t, p, "train.b").Resolve(pipelines.Results{"train.a": {}}); err == nil || !strings.Contains(err.Error(), "No checkpoint") {
		t.Error(err)
	}
}

func TestSecretsReachOnlyTheEnvironment(t *testing.T) {
	p := must(t, base(`
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = 1
  env = {
    TOKEN = secret("TOKEN")
    TOWN  = env("HOME_TOWN")
    OTHER = env("NOT_SET", "fallback")
  }
}
`), planOptions())
	spec := resolve(t, p, "train.t", nil)
	if spec.Env["TOWN"] != "Bern" || spec.Env["OTHER"] != "fallback" || len(spec.Env) != 2 || spec.SecretEnv["TOKEN"].Reveal() != "hunter2" {
		t.Errorf("%v %v", spec.Env, spec.SecretEnv)
	}
	if text, _ := json.Marshal(spec); strings.Contains(string(text), "hunter2") || strings.Contains(fmt.Sprintf("%+v %#v", spec, spec), "hunter2") {
		t.Error("the secret is printed")
	}
}

func TestUnsetEnvironmentIsUnknownInValidate(t *testing.T) {
	text := base(`
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = tonumber(env("EPOCHS_NOT_SET"))
  config {
    optimizer {
      type     = env("OPTIMIZER_NOT_SET")
      momentum = 0.9
    }
  }
  for_each = split(",", env("LIST_NOT_SET"))
}
`)
	must(t, text, validateOptions())
	if _, out := loadText(t, text, planOptions()); strings.Count(out, "Environment variable is not set") != 3 {
		t.Error(out)
	}
}

func TestChecksAndOutputs(t *testing.T) {
	p := must(t, base(`
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = 1
}
check "good" {
  condition     = train.t.metrics.accuracy > 0.9 && train.t.per_class["cat"].recall > 0.5
  error_message = "accuracy is ${train.t.metrics.accuracy}"
}
output "all" {
  value = { accuracy = train.t.metrics.accuracy, name = "x", list = [1, true] }
}
`), planOptions())
	c := p.Checks[0]
	got, err := c.Evaluate(nil)
	if err != nil || len(got.Unknown) != 1 || got.Unknown[0] != "train.t" || c.Needs[0] != "train.t" {
		t.Fatalf("%+v %v", got, err)
	}
	results := pipelines.Results{"train.t": {Metrics: map[string]float64{"accuracy": 0.5}, PerClass: map[string]map[string]float64{"cat": {"recall": 0.7}}}}
	got, err = c.Evaluate(results)
	if err != nil || got.OK || got.Message != "accuracy is 0.5" || fmt.Sprint(got.Values) != `[{train.t.metrics.accuracy 0.5} {train.t.per_class["cat"].recall 0.7}]` {
		t.Fatalf("%+v %v", got, err)
	}
	results["train.t"].Metrics["accuracy"] = math.NaN()
	if got, err = c.Evaluate(results); err != nil || got.OK || !strings.Contains(got.Message, "not a number") {
		t.Fatalf("NaN: %+v %v", got, err)
	}
	results["train.t"].Metrics["accuracy"] = 0.95
	if got, err = c.Evaluate(results); err != nil || !got.OK {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err = c.Evaluate(pipelines.Results{"train.t": {}}); err == nil {
		t.Fatal("a metric that is not there must be an error")
	}
	v, unknown, err := p.Outputs[0].Evaluate(nil)
	if v != nil || len(unknown) != 1 || err != nil {
		t.Fatal(v, unknown, err)
	}
	v, _, err = p.Outputs[0].Evaluate(results)
	if fmt.Sprint(v) != "map[accuracy:0.95 list:[1 true] name:x]" || err != nil {
		t.Fatal(v, err)
	}
}

func TestVariablePrecedence(t *testing.T) {
	text := "pipeline \"t\" {}\nvariable \"a\" {\n default = \"default\"\n}\nvariable \"n\" {\n type = list(number)\n default = []\n}\n"
	opts := validateOptions()
	value := func() string {
		p := must(t, text, opts)
		return fmt.Sprint(p.Variables["a"].Value, " ", p.Variables["a"].Source)
	}
	if got := value(); got != "default default" {
		t.Error(got)
	}
	opts.Environ = func(name string) (string, bool) { return "environment", name == "RUNNER_VAR_a" }
	if got := value(); got != "environment environment" {
		t.Error(got)
	}
	opts.VarFiles = []string{"testdata/vars/one.vars.hcl", "testdata/vars/two.vars.hcl"}
	if got := value(); got != "two file" {
		t.Error(got)
	}
	opts.Vars = []string{"a=x=y", "n=[1, 2]"}
	if got := value(); got != "x=y --var" {
		t.Error(got)
	}
	opts.Values = map[string]any{"a": "exact", "n": []any{3.0}}
	if got := value(); got != "exact --var" {
		t.Error(got)
	}
	opts.Vars = []string{"b=1"}
	if _, out := loadText(t, text, opts); !strings.Contains(out, "Value for undeclared variable") || !strings.Contains(out, "Error") {
		t.Error(out)
	}
	opts.Vars, opts.VarFiles = nil, []string{"testdata/vars/undeclared.vars.hcl"}
	if _, out := loadText(t, text, opts); !strings.Contains(out, "Warning: Value for undeclared variable") || strings.Contains(out, "Error:") {
		t.Error(out)
	}
	opts.VarFiles, opts.Values, opts.Vars = nil, nil, []string{"n=1e30000000"}
	if _, out := loadText(t, text, opts); !strings.Contains(out, "Number out of range") {
		t.Error(out)
	}
}
