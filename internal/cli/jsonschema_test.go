package cli_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/adapters/transformers"
	"github.com/trainwright/trainwright/adapters/ultralytics"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// TestJSONSchemas: for every adapter and task the schema is one that a
// validator takes, and it judges configs as the language does.
func TestJSONSchemas(t *testing.T) {
	host := python.Host{Cache: t.TempDir()}
	for _, ad := range append(adapters.Registry{native.Adapter{}, timm.New(host), ultralytics.New(host), transformers.New(host)}, fake.Registry()...) {
		for _, task := range ad.Info().Tasks {
			t.Run(ad.Info().Name+"/"+task, func(t *testing.T) {
				s, presets, ok := ad.Schema(task)
				if !ok {
					t.Fatal("no schema")
				}
				text, err := exec.Command("runner", "schema", "--json-schema", "--adapter", ad.Info().Name, "--task", task).Output()
				if err != nil {
					t.Fatal(err)
				}
				compiled, doc := compile(t, string(text))
				examples, _ := doc["examples"].([]any)
				if len(examples) != len(presets) {
					t.Errorf("%d examples of %d presets", len(examples), len(presets))
				}
				for i, x := range examples {
					if err := compiled.Validate(x); err != nil {
						t.Errorf("preset %s: %v", presets.Names()[i], err)
					}
				}
				rapid.Check(t, func(t *rapid.T) { agree(t, s, compiled) })
			})
		}
	}
}

func compile(t *testing.T, text string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if doc.(map[string]any)["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Fatalf("$schema is %v", doc.(map[string]any)["$schema"])
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("config.json") // against the draft's own schema, too
	if err != nil {
		t.Fatal(err)
	}
	return compiled, doc.(map[string]any)
}

// agree draws a config, right or wrong, and compares the judgements: what the
// JSON Schema refuses the language refuses; and where all that a written field
// depends on is written too, the other way round.
func agree(t *rapid.T, s schema.Schema, compiled *jsonschema.Schema) {
	config := map[string]any{}
	var req schema.Request
	clear := true // all controlling fields are written
	for range rapid.IntRange(1, 5).Draw(t, "fields") {
		f := rapid.SampledFrom(s.Fields).Draw(t, "field")
		for seen := 0; seen <= len(s.Fields); seen++ {
			if _, written := at(config, f.Name); !written {
				v := value(t, f)
				put(config, f.Name, v)
				req.Written = append(req.Written, schema.Written{Field: f.Name, Value: v, Origin: schema.FromConfig})
			}
			if f.Condition == nil {
				break
			}
			control, _ := s.Field(f.Condition.Field)
			if _, written := at(config, control.Name); !written && rapid.IntRange(0, 4).Draw(t, "leave out") == 0 {
				clear = false
				break
			}
			f = control
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "typo") == 0 {
		put(config, "nonsense", 1)
		req.Written = append(req.Written, schema.Written{Field: "nonsense", Value: 1, Origin: schema.FromConfig})
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	refused := compiled.Validate(doc)
	effective, problems := s.Resolve(req)
	wrong := len(problems) > 0
	for _, e := range effective {
		wrong = wrong || e.Written >= 0 && e.Inactive != ""
	}
	switch {
	case refused != nil && !wrong:
		t.Fatalf("%s: only the JSON Schema refuses it: %v", text, refused)
	case refused == nil && wrong && clear:
		t.Fatalf("%s: only the language refuses it: %+v", text, problems)
	}
}

// value draws a value of a field, now and then a wrong one.
func value(t *rapid.T, f schema.Field) any {
	if rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
		return rapid.SampledFrom([]any{"nonsense", -1e12, 1e12, true, 0.5, []any{"x", 3.0}, []any{[]any{}}}).Draw(t, "value")
	}
	low, high := -1e3, 1e3
	if f.Min != nil {
		low, high = *f.Min, *f.Min+1e3
	}
	if f.Max != nil {
		high = *f.Max
		low = min(low, high)
	}
	switch f.Type {
	case schema.Select:
		return rapid.SampledFrom(f.Options).Draw(t, "option").Value
	case schema.Number:
		return rapid.Float64Range(low, high).Draw(t, "number")
	case schema.Integer:
		return rapid.Int64Range(int64(low), int64(high)).Draw(t, "integer")
	case schema.Boolean:
		return rapid.Bool().Draw(t, "boolean")
	case schema.List:
		if len(f.Options) > 0 {
			return []any{rapid.SampledFrom(f.Options).Draw(t, "option").Value}
		}
		return []any{rapid.SampledFrom([]any{"a", true, low}).Draw(t, "item")}
	}
	return rapid.SampledFrom([]string{"", "a", "값"}).Draw(t, "text")
}

func at(config map[string]any, name string) (any, bool) {
	first, rest, nested := strings.Cut(name, ".")
	v, ok := config[first]
	if !nested || !ok {
		return v, ok
	}
	inner, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return at(inner, rest)
}

func put(config map[string]any, name string, v any) {
	first, rest, nested := strings.Cut(name, ".")
	if !nested {
		config[first] = v
		return
	}
	inner, ok := config[first].(map[string]any)
	if !ok {
		inner = map[string]any{}
		config[first] = inner
	}
	put(inner, rest, v)
}
