package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/trainwright/trainwright/hclspec/schema"
)

func TestValidateSample(t *testing.T) {
	if err := sample().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateFindsFaults(t *testing.T) {
	bad := schema.Schema{Fields: []schema.Field{
		{Name: "a", Type: schema.Number, Default: "x"},
		{Name: "a.b", Type: schema.Integer},
		{Name: "a", Type: schema.Number},
		{Name: "c", Type: schema.Select},
		{Name: "d", Type: schema.Number, Condition: &schema.Condition{Field: "e", Value: 1}},
		{Name: "e", Type: schema.Number, Condition: &schema.Condition{Field: "d", Value: 1}},
		{Name: "f", Type: schema.Number, Condition: &schema.Condition{Field: "nowhere", Value: 1}},
		{Name: "bad name", Type: schema.String},
	}}
	err := bad.Validate()
	for _, want := range []string{"the default must be a number", "field and a group", "listed twice", "needs options", "circle", "nowhere", "bad name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	presets := schema.Presets{"basic": {"optimizer.tpye": "adam", "optimizer.learning_rate": 100}}
	if err := presets.Validate(sample()); err == nil || !strings.Contains(err.Error(), "optimizer.type") || !strings.Contains(err.Error(), "between 0 and 10") {
		t.Error(err)
	}
}

func TestJSONSchema(t *testing.T) {
	text, err := sample().JSONSchema("sample", nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, valid := range map[string]bool{
		`{}`: true,
		`{"optimizer":{"type":"sgd","momentum":0.9},"mixed_precision":true}`: true,
		`{"optimizer":{"type":"adam","momentum":0.9}}`:                       false, // condition false
		`{"optimizer":{"momentum":0.9}}`:                                     true,  // a preset may choose sgd
		`{"optimizer":{"tpye":"sgd"}}`:                                       false,
		`{"optimizer":{"learning_rate":11}}`:                                 false,
		`{"scheduler":{"T_max":0.5}}`:                                        false,
		`{"layers":["head"]}`:                                                true,
		`{"layers":["tail"]}`:                                                false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); (err == nil) != valid {
			t.Errorf("%s: %v, want valid = %v", text, err, valid)
		}
	}
}

func TestJSONIsThePlatforms(t *testing.T) {
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var back schema.Schema
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(back)
	if string(again) != string(text) || !strings.HasPrefix(string(text), `{"fields":[{"name":"optimizer.type","type":"select"`) {
		t.Errorf("%s\n%s", text, again)
	}
}

func TestMarkdownNamesEverything(t *testing.T) {
	page := sample().Markdown("Sample", schema.Presets{"basic": {"optimizer.type": "sgd"}})
	for _, want := range append(sample().Names(), "active while `optimizer.type` is `\"sgd\"`", "| `optimizer.type` | \"sgd\" |", "default: unset") {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
