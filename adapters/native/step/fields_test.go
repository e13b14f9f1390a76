package step

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

func active(config map[string]any, c *schema.Condition) bool {
	if c == nil {
		return true
	}
	if list, ok := c.Value.([]any); ok {
		return slices.Contains(list, config[c.Field])
	}
	return config[c.Field] == c.Value
}

// change says for each field a config in which it matters and another value.
type change struct {
	base  map[string]any
	value any
}

// changes must name every field of the schema.
var changes = map[string]change{
	"optimizer.type":            {nil, "sgd"},
	"optimizer.learning_rate":   {nil, 0.005},
	"optimizer.weight_decay":    {nil, 0.3},
	"optimizer.momentum":        {map[string]any{"optimizer.type": "sgd"}, 0.5},
	"optimizer.nesterov":        {map[string]any{"optimizer.type": "sgd"}, true},
	"optimizer.beta1":           {nil, 0.7},
	"optimizer.beta2":           {nil, 0.9},
	"optimizer.eps":             {nil, 0.1},
	"scheduler.type":            {nil, "none"},
	"scheduler.T_max":           {nil, int64(7)},
	"scheduler.eta_min":         {nil, 5e-4},
	"scheduler.step_size":       {map[string]any{"scheduler.type": "step", "scheduler.gamma": 0.5}, int64(1)},
	"scheduler.gamma":           {map[string]any{"scheduler.type": "step", "scheduler.step_size": int64(1)}, 0.9},
	"scheduler.warmup_epochs":   {nil, int64(1)},
	"augmentation.enabled":      {nil, true},
	"augmentation.random_flip":  {map[string]any{"augmentation.enabled": true, "augmentation.rotation": 3.0}, false},
	"augmentation.random_crop":  {map[string]any{"augmentation.enabled": true}, int64(2)},
	"augmentation.rotation":     {map[string]any{"augmentation.enabled": true}, 20.0},
	"augmentation.color_jitter": {map[string]any{"augmentation.enabled": true}, 0.5},
	"gradient_clip_value":       {nil, 0.01},
	"gradient_accumulation":     {nil, int64(2)},
	"label_smoothing":           {nil, 0.2},
	"ema_decay":                 {nil, 0.5},
	"drop_last":                 {nil, true},
}

// Every field of the schema, changed once, is reported as changed and changes
// what training leaves: the report alone is not trusted.
func TestEveryFieldHasItsEffect(t *testing.T) {
	s, _, _ := native.Adapter{}.Schema("image_classification")
	type outcome struct {
		values  map[string]any
		weights string
	}
	outcomes := map[string]outcome{} // by config: many fields share one to begin from
	train := func(t *testing.T, config map[string]any) (map[string]any, string) {
		task := trainTask(t, config)
		key := fmt.Sprint(task.Train.Config)
		if o, ok := outcomes[key]; ok {
			return o.values, o.weights
		}
		events := run(t, task)
		r := result(t, events)
		if r.State != pipelines.StatusCompleted {
			t.Fatalf("%v: %s: %s", config, r.State, r.Error)
		}
		values := events[0].ConfigApplied.Values
		for name, want := range task.Train.Config {
			if got, ok := values[name]; !ok || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s = %v was applied as %v (reported: %v)", name, want, got, ok)
			}
		}
		outcomes[key] = outcome{values, fingerprint(t, r.Latest.Path)}
		return values, outcomes[key].weights
	}
	for _, f := range s.Fields {
		if f.Name == "mixed_precision" || f.Name == "early_stopping.patience" {
			continue // tests of their own
		}
		t.Run(f.Name, func(t *testing.T) {
			c, ok := changes[f.Name]
			if !ok {
				t.Fatal("no change is written down for this field")
			}
			before, was := train(t, c.base)
			config := maps.Clone(c.base)
			if config == nil {
				config = map[string]any{}
			}
			config[f.Name] = c.value
			after, is := train(t, config)
			if reflect.DeepEqual(before[f.Name], after[f.Name]) {
				t.Errorf("reported as %v before and after", after[f.Name])
			}
			if was == is {
				t.Error("the checkpoint is the same, bit for bit")
			}
		})
	}
}

func TestMixedPrecisionIsInactiveOnTheCPU(t *testing.T) {
	events := run(t, trainTask(t, map[string]any{"mixed_precision": true}))
	a := events[0].ConfigApplied
	if a.Values["mixed_precision"] != false || a.Unsupported["mixed_precision"] == "" {
		t.Errorf("applied as %v, unsupported %q", a.Values["mixed_precision"], a.Unsupported["mixed_precision"])
	}
}

func TestPatienceStopsEarly(t *testing.T) {
	task := trainTask(t, map[string]any{"early_stopping.patience": int64(2), "optimizer.learning_rate": 0.0, "optimizer.weight_decay": 0.0})
	task.Train.Epochs = 9
	events := run(t, task)
	r := result(t, events)
	if r.StoppedBy != "early_stopping" || r.Best.Epoch >= r.Latest.Epoch-1 || r.Latest.Epoch >= 9 {
		t.Errorf("stopped by %q, best epoch %d, last %d", r.StoppedBy, r.Best.Epoch, r.Latest.Epoch)
	}
}

func TestUnreadAndMistypedFieldsAreErrors(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"unknown": {"optimizer.lookahead": 2.0},
		"type":    {"drop_last": "yes"},
		"whole":   {"gradient_accumulation": 1.5},
	} {
		task := trainTask(t, nil)
		maps.Copy(task.Train.Config, change)
		if r := result(t, run(t, task)); r.State != pipelines.StatusFailed || r.Cause != pipelines.CauseConfig {
			t.Errorf("%s: %s, cause %q: %s", name, r.State, r.Cause, r.Error)
		}
	}
}
