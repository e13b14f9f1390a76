package submit

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/hclspec"
)

// Form is one training as a form or another program describes it: JSON in the
// platform's names. It stands for a pipeline of one dataset, model and train
// block, so that the language's own rules check it, every key included.
type Form struct {
	Name      string         `json:"name,omitempty" maxLength:"200" doc:"the pipeline's name; without it training"`
	Framework string         `json:"framework,omitempty" maxLength:"200" doc:"the adapter; without it the server's default"`
	TaskType  string         `json:"task_type,omitempty" maxLength:"200" doc:"image_classification, …; may be left out where the model has one only"`
	Model     map[string]any `json:"model" doc:"model_name, and image_size, num_classes, pretrained, weights, freeze"`
	Dataset   map[string]any `json:"dataset" doc:"dataset_path and format, and classes, split {train, val, test, seed, stratify}, checks {max_corrupt, min_per_class, leakage}"`
	Training  map[string]any `json:"training_config" doc:"epochs, and batch_size, learning_rate, seed, device, preset, num_workers, monitor, mode, checkpoint {…}, retry {…} and advanced_config, nested as the schema's dotted names"`
}

// FormDiagnostic is a diagnostic and the place in the form that it is about.
type FormDiagnostic struct {
	hclspec.Diagnostic
	Pointer string `json:"pointer" doc:"JSON pointer into the form: /training_config/advanced_config/optimizer/type"`
}

// part is how a section of the form becomes a block.
type part struct {
	block   string
	label   string
	pointer string
	rename  map[string]string // JSON key -> argument
	first   []string          // arguments that come first, in this order
	blocks  []string          // keys that are nested blocks
}

var (
	datasetPart = part{"dataset", "data", "/dataset", map[string]string{"dataset_path": "path"}, []string{"format", "path"}, []string{"split", "checks"}}
	modelPart   = part{"model", "net", "/model", map[string]string{"model_name": "name"}, []string{"adapter", "name", "task"}, nil}
	trainPart   = part{"train", "job", "/training_config", map[string]string{"advanced_config": "config"},
		[]string{"model", "dataset", "epochs", "batch_size", "learning_rate", "seed", "preset"}, []string{"config", "checkpoint", "retry", "start"}}
)

// FormFile is the name of the file that a form becomes.
const FormFile = "main.hcl"

// Rendered is the HCL that a form stands for. Problems are keys and values
// that HCL has no words for; with any of them the text lacks them.
type Rendered struct {
	HCL      string
	Problems []FormDiagnostic
	spans    []span
}

type span struct {
	start, end int
	pointer    string
}

// Render writes the form as HCL. framework is the adapter where the form names none.
func (f Form) Render(framework string) Rendered {
	w := &formWriter{}
	w.line("pipeline %s {}", quote(cmp.Or(f.Name, "training")))
	w.section(datasetPart, f.Dataset, nil)
	fixed := map[string]string{"adapter": quote(cmp.Or(f.Framework, framework))}
	if f.TaskType != "" {
		fixed["task"] = quote(f.TaskType)
	}
	w.section(modelPart, f.Model, fixed)
	w.section(trainPart, f.Training, map[string]string{"model": "model.net", "dataset": "dataset.data"})
	text, diags := hclspec.Format([]byte(w.b.String()), FormFile)
	out := Rendered{HCL: string(text), Problems: w.problems}
	for _, d := range hclspec.NewReport(nil, diags).Diagnostics { // names are checked and values quoted, but a text may be too long, say
		out.Problems = append(out.Problems, FormDiagnostic{Diagnostic: d})
	}
	out.spans = spans(text)
	return out
}

// Locate adds to each diagnostic of the rendered text its place in the form.
func (r Rendered) Locate(diags []hclspec.Diagnostic) []FormDiagnostic {
	out := slices.Clone(r.Problems)
	for _, d := range diags {
		best := span{0, len(r.HCL) + 1, ""}
		if d.Range != nil && d.Range.Filename == FormFile {
			for _, s := range r.spans {
				if s.start <= d.Range.Start.Byte && d.Range.Start.Byte <= s.end && s.end-s.start <= best.end-best.start {
					best = s
				}
			}
		}
		out = append(out, FormDiagnostic{Diagnostic: d, Pointer: best.pointer})
	}
	return out
}

// formWriter writes HCL, plain; the formatter lays it out.
type formWriter struct {
	b        strings.Builder
	problems []FormDiagnostic
}

func (w *formWriter) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

func (w *formWriter) fail(pointer, summary, detail string, args ...any) {
	w.problems = append(w.problems, FormDiagnostic{Pointer: pointer,
		Diagnostic: hclspec.Diagnostic{Severity: "error", Summary: summary, Detail: fmt.Sprintf(detail, args...)}})
}

func (w *formWriter) section(p part, values map[string]any, fixed map[string]string) {
	w.line("\n%s %s {", p.block, quote(p.label))
	names := map[string]string{} // argument -> JSON key
	for key := range values {
		name := cmp.Or(p.rename[key], key)
		if p.rename[key] == "" && slices.Contains(slices.Collect(maps.Values(p.rename)), key) {
			w.fail(p.pointer+"/"+PointerKey(key), "Unsupported argument", "There is no %q here; it is called %q.", key, keyOf(p.rename, key))
			continue
		}
		if fixed[name] != "" {
			w.fail(p.pointer+"/"+PointerKey(key), "Unsupported argument", "%q follows from other parts of the form.", key)
			continue
		}
		names[name] = key
	}
	for name := range fixed {
		names[name] = ""
	}
	order := func(name string) int {
		if i := slices.Index(p.first, name); i >= 0 {
			return i
		}
		return len(p.first)
	}
	sorted := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(order(a)-order(b), cmp.Compare(a, b)) })
	var nested []string
	for _, name := range sorted {
		switch key := names[name]; {
		case fixed[name] != "":
			w.line("%s = %s", name, fixed[name])
		case slices.Contains(p.blocks, name):
			nested = append(nested, name)
		default:
			w.argument(p.pointer, name, key, values[key])
		}
	}
	for _, name := range nested {
		w.block(p.pointer+"/"+names[name], name, values[names[name]], name == "config", 0)
	}
	w.line("}")
}

func keyOf(rename map[string]string, name string) string {
	for key, to := range rename {
		if to == name {
			return key
		}
	}
	return name
}

var argumentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

func (w *formWriter) argument(pointer, name, key string, v any) {
	at := pointer + "/" + PointerKey(key)
	if v == nil {
		return // unset
	}
	if !argumentName.MatchString(name) {
		w.fail(at, "Invalid name", "%.100q cannot be a name: letters, digits and _ only, no digit first. Dotted names are nested: {\"optimizer\": {\"type\": …}}.", key)
		return
	}
	var text string
	switch v := v.(type) {
	case string:
		text = quote(v)
	default:
		var err error
		if text, err = literal(v); err != nil {
			w.fail(at, "Invalid value", "%s.", err)
			return
		}
	}
	w.line("%s = %s", name, text)
}

// block writes an object as a block. In an open one (config) inner objects are
// blocks, too.
func (w *formWriter) block(pointer, name string, v any, open bool, depth int) {
	values, ok := v.(map[string]any)
	switch {
	case v == nil:
		return
	case !ok:
		w.fail(pointer, "Invalid value", "%q must be an object.", name)
		return
	case depth > 20:
		w.fail(pointer, "Invalid value", "Objects nest at most 20 deep.")
		return
	case !argumentName.MatchString(name):
		w.fail(pointer, "Invalid name", "%.100q cannot be a name: letters, digits and _ only, no digit first.", name)
		return
	}
	if !strings.HasSuffix(w.b.String(), "{\n") {
		w.line("")
	}
	w.line("%s {", name)
	keys := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(rank(values, a)-rank(values, b), cmp.Compare(a, b))
	})
	for _, key := range keys {
		if _, inner := values[key].(map[string]any); inner && open {
			w.block(pointer+"/"+PointerKey(key), key, values[key], true, depth+1)
		} else {
			w.argument(pointer, key, key, values[key])
		}
	}
	w.line("}")
}

// rank puts type first and blocks last.
func rank(values map[string]any, key string) int {
	if _, inner := values[key].(map[string]any); inner {
		return 2
	}
	if key == "type" {
		return 0
	}
	return 1
}

// spans finds the places of the text that parts of the form stand for.
func spans(text []byte) []span {
	file, diags := hclsyntax.ParseConfig(text, FormFile, hcl.InitialPos)
	if diags.HasErrors() {
		return nil
	}
	var out []span
	add := func(r hcl.Range, pointer string) { out = append(out, span{r.Start.Byte, r.End.Byte, pointer}) }
	var walk func(body *hclsyntax.Body, pointer string, rename map[string]string)
	walk = func(body *hclsyntax.Body, pointer string, rename map[string]string) {
		for name, a := range body.Attributes {
			add(a.SrcRange, pointer+"/"+PointerKey(keyOf(rename, name)))
		}
		for _, b := range body.Blocks {
			at := pointer + "/" + PointerKey(keyOf(rename, b.Type))
			add(b.Range(), at)
			walk(b.Body, at, nil)
		}
	}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		for _, p := range []part{datasetPart, modelPart, trainPart} {
			if p.block == b.Type {
				add(b.Range(), p.pointer)
				walk(b.Body, p.pointer, p.rename)
			}
		}
		if b.Type == "pipeline" {
			add(b.Range(), "/name")
		}
	}
	for i, s := range out { // what stands beside the model's own keys in the form
		switch s.pointer {
		case "/model/adapter":
			out[i].pointer = "/framework"
		case "/model/task":
			out[i].pointer = "/task_type"
		}
	}
	return out
}

// PointerKey writes a key as a part of a JSON pointer.
func PointerKey(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// quote writes text as an HCL string.
func quote(s string) string {
	text, err := literalJSON(s)
	if err != nil {
		return `""` // text is always JSON
	}
	return text
}
