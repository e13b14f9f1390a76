package native_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/hclspec/schema"
)

func theSchema(t *testing.T) (schema.Schema, schema.Presets) {
	s, p, ok := native.Adapter{}.Schema("image_classification")
	if !ok {
		t.Fatal("image_classification is not taken")
	}
	return s, p
}

func TestSchemaHasTheAgreedFields(t *testing.T) {
	s, _ := theSchema(t)
	want := []string{
		"optimizer.type", "optimizer.learning_rate", "optimizer.weight_decay", "optimizer.momentum", "optimizer.nesterov",
		"optimizer.beta1", "optimizer.beta2", "optimizer.eps",
		"scheduler.type", "scheduler.T_max", "scheduler.eta_min", "scheduler.step_size", "scheduler.gamma", "scheduler.warmup_epochs",
		"augmentation.enabled", "augmentation.random_flip", "augmentation.random_crop", "augmentation.rotation", "augmentation.color_jitter",
		"mixed_precision", "gradient_clip_value", "gradient_accumulation", "label_smoothing", "ema_decay", "early_stopping.patience", "drop_last",
	}
	if got := s.Names(); !reflect.DeepEqual(got, want) {
		t.Fatalf("fields are\n%v, want\n%v", got, want)
	}
	if _, _, ok := (native.Adapter{}).Schema("object_detection"); ok {
		t.Error("object_detection is taken")
	}
}

// fits reports whether a value has the Go type of a field and lies in its range.
func fits(f schema.Field, v any) bool {
	switch f.Type {
	case schema.Select:
		return slices.ContainsFunc(f.Options, func(o schema.Option) bool { return o.Value == v })
	case schema.Boolean:
		_, ok := v.(bool)
		return ok
	case schema.Number:
		x, ok := v.(float64)
		return ok && x >= *f.Min && x <= *f.Max
	case schema.Integer:
		x, ok := v.(int64)
		return ok && float64(x) >= *f.Min && float64(x) <= *f.Max
	}
	return false
}

func TestEveryFieldIsDescribed(t *testing.T) {
	s, presets := theSchema(t)
	for _, f := range s.Fields {
		if f.Label == "" || f.Description == "" || f.Group == "" || f.Resume == "" {
			t.Errorf("%s lacks a label, description, group or resume rule", f.Name)
		}
		if f.Type == schema.Number || f.Type == schema.Integer {
			if f.Min == nil || f.Max == nil || f.Step == nil {
				t.Errorf("%s lacks min, max or step", f.Name)
				continue
			}
		}
		if f.Name == "scheduler.T_max" {
			if f.Default != nil {
				t.Error("T_max has a default, but unset must mean epochs")
			}
		} else if !fits(f, f.Default) {
			t.Errorf("%s: the default %v does not fit the field", f.Name, f.Default)
		}
		for _, o := range f.Options {
			if o.Label == "" || o.Description == "" {
				t.Errorf("%s: option %s lacks a label or description", f.Name, o.Value)
			}
		}
		if f.Condition != nil {
			by, ok := s.Field(f.Condition.Field)
			values, isList := f.Condition.Value.([]any)
			if !isList {
				values = []any{f.Condition.Value}
			}
			for _, v := range values {
				if !ok || !fits(by, v) {
					t.Errorf("%s: the condition %v cannot hold", f.Name, *f.Condition)
				}
			}
		}
	}
	for name, preset := range presets {
		for field, v := range preset {
			if f, ok := s.Field(field); !ok || !fits(f, v) {
				t.Errorf("preset %s: %s = %v does not fit the schema", name, field, v)
			}
		}
	}
}

func TestPresets(t *testing.T) {
	_, p := theSchema(t)
	for name, want := range map[string]map[string]any{
		"basic":      {"optimizer.type": "adam", "optimizer.learning_rate": 1e-3, "optimizer.weight_decay": 0.0, "scheduler.type": "none", "augmentation.enabled": false, "mixed_precision": false, "gradient_clip_value": 0.0},
		"standard":   {"optimizer.type": "adamw", "optimizer.learning_rate": 1e-3, "optimizer.weight_decay": 0.01, "scheduler.type": "cosine", "scheduler.T_max": int64(50), "scheduler.eta_min": 1e-6, "augmentation.enabled": true, "augmentation.random_flip": true, "mixed_precision": true, "gradient_clip_value": 1.0},
		"aggressive": {"optimizer.type": "adamw", "optimizer.learning_rate": 3e-3, "optimizer.weight_decay": 0.05, "scheduler.type": "cosine", "scheduler.T_max": int64(100), "scheduler.eta_min": 1e-7, "augmentation.enabled": true, "augmentation.random_flip": true, "mixed_precision": true, "gradient_clip_value": 5.0},
	} {
		if !reflect.DeepEqual(p[name], want) {
			t.Errorf("%s is %v", name, p[name])
		}
	}
}

// The schema's ranges must lie within what the engine's rules take.
func TestExtremesAreAcceptedByTheEngine(t *testing.T) {
	s, _ := theSchema(t)
	get := func(name string, max bool) float64 {
		f, _ := s.Field("optimizer." + name)
		if max {
			return *f.Max
		}
		return *f.Min
	}
	for _, rule := range optim.Names() {
		for _, max := range []bool{false, true} {
			c := optim.Config{Type: rule, WeightDecay: get("weight_decay", max), Momentum: get("momentum", max), Nesterov: max, Beta1: get("beta1", max), Beta2: get("beta2", max), Eps: get("eps", max)}
			if err := c.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestModels(t *testing.T) {
	models := native.Adapter{}.Models("image_classification")
	i := slices.IndexFunc(models, func(m adapters.Model) bool { return m.ModelName == "resnet50" })
	if i < 0 || models[i].Parameters != "25.6M" || models[i].Framework != "native" || !models[i].Pretrained || models[i].DefaultImageSize != 224 {
		t.Fatalf("resnet50 is not listed as it should: %+v", models)
	}
	if len(native.Adapter{}.Models("pose_estimation")) != 0 {
		t.Error("models are listed for a task that is not taken")
	}
}

func TestCommand(t *testing.T) {
	c, err := native.Adapter{Executable: "/bin/runner"}.Command(context.Background(), "/run/task.json")
	if err != nil || !reflect.DeepEqual(c.Argv, []string{"/bin/runner", "step", "/run/task.json"}) {
		t.Fatalf("%v, %v", c.Argv, err)
	}
}
