package schema_test

import (
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec/schema"
)

func f64(v float64) *float64 { return &v }

// sample is a small schema in the shape of the native adapter's.
func sample() schema.Schema {
	return schema.Schema{Fields: []schema.Field{
		{Name: "optimizer.type", Type: schema.Select, Default: "adam", Options: []schema.Option{{Value: "adam"}, {Value: "adamw"}, {Value: "sgd"}}},
		{Name: "optimizer.learning_rate", Type: schema.Number, Default: 1e-3, Min: f64(0), Max: f64(10), Step: f64(0.1)},
		{Name: "optimizer.momentum", Type: schema.Number, Default: 0.0, Min: f64(0), Max: f64(1), Condition: &schema.Condition{Field: "optimizer.type", Value: "sgd"}},
		{Name: "optimizer.nesterov", Type: schema.Boolean, Default: false, Condition: &schema.Condition{Field: "optimizer.momentum", Value: []any{0.9, 0.95}}},
		{Name: "scheduler.type", Type: schema.Select, Default: "none", Options: []schema.Option{{Value: "none"}, {Value: "cosine"}}},
		{Name: "scheduler.T_max", Type: schema.Integer, Min: f64(1), Condition: &schema.Condition{Field: "scheduler.type", Value: "cosine"}},
		{Name: "mixed_precision", Type: schema.Boolean, Default: false},
		{Name: "layers", Type: schema.List, Options: []schema.Option{{Value: "head"}, {Value: "body"}}},
	}}
}

func TestOriginsLowToHigh(t *testing.T) {
	got, problems := sample().Resolve(schema.Request{
		Preset: map[string]any{"optimizer.type": "sgd", "optimizer.learning_rate": 0.1, "mixed_precision": true},
		Written: []schema.Written{
			{Field: "optimizer.learning_rate", Value: 0.2, Origin: schema.FromTrain},
			{Field: "mixed_precision", Value: false, Origin: schema.FromConfig},
			{Field: "mixed_precision", Value: true, Origin: schema.FromMatrix},
		},
	})
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	for name, want := range map[string]schema.Effective{
		"optimizer.type":          {Value: "sgd", Origin: schema.FromPreset, Written: -1},
		"optimizer.learning_rate": {Value: 0.2, Origin: schema.FromTrain, Written: 0},
		"mixed_precision":         {Value: true, Origin: schema.FromMatrix, Replaced: false, Written: 2},
		"optimizer.momentum":      {Value: 0.0, Origin: schema.FromDefault, Written: -1},
		"optimizer.nesterov":      {Value: false, Origin: schema.FromDefault, Inactive: "optimizer.momentum is 0", Written: -1},
	} {
		if got[name] != want {
			t.Errorf("%s = %+v, want %+v", name, got[name], want)
		}
	}
}

func TestInactiveControlMakesFieldInactive(t *testing.T) {
	got, _ := sample().Resolve(schema.Request{Written: []schema.Written{
		{Field: "optimizer.momentum", Value: 0.9, Origin: schema.FromConfig},
		{Field: "optimizer.nesterov", Value: true, Origin: schema.FromConfig},
	}})
	for _, name := range []string{"optimizer.momentum", "optimizer.nesterov"} {
		if want := `optimizer.type is "adam"`; got[name].Inactive != want {
			t.Errorf("%s inactive = %q, want %q", name, got[name].Inactive, want)
		}
	}
}

func TestTMaxFollowsEpochs(t *testing.T) {
	cosine := schema.Written{Field: "scheduler.type", Value: "cosine", Origin: schema.FromConfig}
	for name, c := range map[string]struct {
		preset  map[string]any
		written []schema.Written
		value   any
		derived string
	}{
		"unset":         {nil, []schema.Written{cosine}, int64(10), "epochs"},
		"preset above":  {map[string]any{"scheduler.T_max": 50}, []schema.Written{cosine}, int64(10), "epochs"},
		"preset below":  {map[string]any{"scheduler.T_max": 5}, []schema.Written{cosine}, int64(5), ""},
		"written above": {nil, []schema.Written{cosine, {Field: "scheduler.T_max", Value: 50, Origin: schema.FromConfig}}, int64(50), ""},
	} {
		got, problems := sample().Resolve(schema.Request{Preset: c.preset, Written: c.written, Epochs: 10})
		if e := got["scheduler.T_max"]; len(problems) != 0 || e.Value != c.value || e.Derived != c.derived {
			t.Errorf("%s: %+v, %v", name, e, problems)
		}
	}
}

func TestProblems(t *testing.T) {
	_, problems := sample().Resolve(schema.Request{Written: []schema.Written{
		{Field: "optimizer.learning_rate", Value: 0.1, Origin: schema.FromTrain},
		{Field: "optimizer.learning_rate", Value: 0.2, Origin: schema.FromConfig},
		{Field: "optimizer.tpye", Value: "adam", Origin: schema.FromConfig},
		{Field: "optimzer.type", Value: "adam", Origin: schema.FromConfig},
		{Field: "momentum", Value: 0.9, Origin: schema.FromConfig},
		{Field: "optimizer.type", Value: "adamx", Origin: schema.FromConfig},
		{Field: "mixed_precision", Value: "yes", Origin: schema.FromConfig},
		{Field: "scheduler", Value: "cosine", Origin: schema.FromConfig},
		{Field: "layers", Value: []any{"tail"}, Origin: schema.FromMatrix},
	}})
	want := []string{
		"They are one value",
		`"optimizer.tpye". Did you mean "optimizer.type"?`,
		`"optimzer.type". Did you mean "optimizer.type"?`,
		`"momentum" belongs under block optimizer of config.`,
		`must be one of "adam", "adamw" or "sgd", not "adamx". Did you mean "adam"?`,
		`mixed_precision must be true or false, not the string "yes".`,
		`"scheduler" is a group of settings (type, T_max)`,
		`may hold only "head" or "body", not "tail"`,
	}
	if len(problems) != len(want) {
		t.Fatalf("%d problems, want %d: %v", len(problems), len(want), problems)
	}
	for i, w := range want {
		if !strings.Contains(problems[i].Detail, w) {
			t.Errorf("problem %d: %q lacks %q", i, problems[i].Detail, w)
		}
	}
}

func TestStepIsNoRule(t *testing.T) {
	f, _ := sample().Field("optimizer.learning_rate")
	if v, err := f.Check(0.137); err != nil || v != 0.137 {
		t.Fatal(v, err)
	}
	if _, err := f.Check(11); err == nil || err.Error() != "must be between 0 and 10, not 11" {
		t.Fatal(err)
	}
}

func TestCheckTypes(t *testing.T) {
	integer := schema.Field{Type: schema.Integer}
	if v, err := integer.Check(3.0); err != nil || v != int64(3) {
		t.Fatal(v, err)
	}
	if _, err := integer.Check(3.5); err == nil {
		t.Fatal("3.5 is not whole")
	}
	if v, err := integer.Check(nil); v != nil || err != nil {
		t.Fatal("nil is unset")
	}
}
