package conformance

import (
	"reflect"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/hclspec/schema"
)

// TestOneSetOfSettings: the settings of the SDK's classification loop are the
// native adapter's: the same names, ranges, defaults, conditions and presets, so
// that a pipeline goes from one to the other by its adapter's name alone. timm's
// embedded description, which CI makes anew and compares, has them from
// sdk/python/platform_sdk/training.py; only descriptions may be worded otherwise.
// What timm has beside leaves training as it is, unless it is set.
func TestOneSetOfSettings(t *testing.T) {
	const task = "image_classification"
	want, wantPresets, _ := native.Adapter{}.Schema(task)
	got, gotPresets, ok := timm.New(python.Host{}).Schema(task)
	if !ok {
		t.Fatal("timm has no schema")
	}
	for _, f := range want.Fields {
		g, ok := got.Field(f.Name)
		if !ok {
			t.Errorf("the SDK lacks %s", f.Name)
			continue
		}
		wider(t, f, &g)
		if a, b := bare(f), bare(g); !reflect.DeepEqual(a, b) {
			t.Errorf("%s:\nnative %+v\nSDK    %+v", f.Name, a, b)
		}
	}
	inactive := got.Inactive(got.Defaults())
	for _, f := range got.Fields {
		if _, ok := want.Field(f.Name); ok {
			continue
		}
		if _, off := inactive[f.Name]; off || f.Default == nil {
			continue
		}
		if off, ok := switches[f.Name]; !ok || f.Default != off {
			t.Errorf("native lacks %s, which is %v unless it is set", f.Name, f.Default)
		}
	}
	if !reflect.DeepEqual(wantPresets, gotPresets) {
		t.Errorf("presets:\nnative %v\nSDK    %v", wantPresets, gotPresets)
	}
}

// switches are the values at which timm's own settings do nothing.
var switches = map[string]any{"mixup.type": "none"}

// wider takes from a field of timm's what it has more than native's: options
// after native's own, and values of the condition that are such options.
func wider(t *testing.T, native schema.Field, own *schema.Field) {
	t.Helper()
	if len(own.Options) > len(native.Options) {
		own.Options = own.Options[:len(native.Options)]
	}
	if native.Condition == nil || own.Condition == nil || native.Condition.Field != "scheduler.type" {
		return
	}
	if list, ok := own.Condition.Value.([]any); ok && slices.Contains(list, native.Condition.Value) {
		own.Condition = native.Condition
	}
}

// bare is a field without what is only for people to read.
func bare(f schema.Field) any {
	number := func(v *float64) any {
		if v == nil {
			return nil
		}
		return *v
	}
	var options []string
	for _, o := range f.Options {
		options = append(options, o.Value)
	}
	var condition any
	if f.Condition != nil {
		condition = *f.Condition
	}
	return struct {
		Label, Unit, Group           string
		Type                         schema.Type
		Default, Min, Max, Condition any
		Options                      []string
		Resume                       schema.Resume
		Devices                      []string
	}{f.Label, f.Unit, f.Group, f.Type, f.Default, number(f.Min), number(f.Max), condition, options, f.Resume, f.Devices}
}
