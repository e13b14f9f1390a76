package service_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/service"
)

// TestDescribedElsewhere: what plans with a description plans as with the
// adapter itself, numbers and their types included.
func TestDescribedElsewhere(t *testing.T) {
	for _, a := range append(fake.Registry(), native.Adapter{}) {
		text, err := json.Marshal(service.Describe(a, 2))
		if err != nil {
			t.Fatal(err)
		}
		d, err := service.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", a.Info().Name, err)
		}
		got := service.Adapter{Describe: func() *service.Description { return d }}
		info, want := got.Info(), a.Info()
		slices.Sort(want.Tasks)
		if !reflect.DeepEqual(info, want) || d.GPUs != 2 {
			t.Errorf("info %+v, want %+v", info, want)
		}
		for _, task := range append(want.Tasks, "nonsense", "") {
			s, p, ok := got.Schema(task)
			ws, wp, wok := a.Schema(task)
			if ok != wok || !sameJSON(s, ws) || !sameJSON(p, wp) || !reflect.DeepEqual(typesOf(p), typesOf(wp)) {
				t.Errorf("%s, task %q: the schema or its presets differ", want.Name, task)
			}
			if !sameModels(got.Models(task), a.Models(task)) {
				t.Errorf("%s, task %q: the models differ", want.Name, task)
			}
		}
	}
	if _, err := service.Parse([]byte(`{"format": 1, "name": "x"}`)); err == nil {
		t.Error("a description without tasks is taken")
	}
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func sameModels(a, b []adapters.Model) bool {
	return len(a) == len(b) && (len(a) == 0 || sameJSON(a, b))
}

func typesOf(presets map[string]map[string]any) map[string]string {
	out := map[string]string{}
	for preset, values := range presets {
		for name, v := range values {
			out[preset+"."+name] = reflect.TypeOf(v).String()
		}
	}
	return out
}
