// Package schema_test holds the JSON Schemas of this folder to the Go types.
package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/trainwright/trainwright/pipelines"
)

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, v any) error {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		return fmt.Errorf("%w\n%s", err, b)
	}
	return nil
}

// fill sets every field of v to something, pointers and maps included.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e)
		v.SetMapIndex(reflect.ValueOf("k").Convert(v.Type().Key()), e)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString(sample(v.Type()))
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(math.Inf(-1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf(0.5))
	}
}

func sample(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[pipelines.Status]():
		return string(pipelines.StatusCompleted)
	case reflect.TypeFor[pipelines.Cause]():
		return string(pipelines.CauseOOM)
	case reflect.TypeFor[pipelines.StartMode]():
		return string(pipelines.StartResume)
	case reflect.TypeFor[pipelines.Kind]():
		return string(pipelines.KindTrain)
	}
	return "x"
}

func TestEventsFitTheSchema(t *testing.T) {
	s := compile(t, "event.schema.json")
	all := pipelines.Event{}
	fill(reflect.ValueOf(&all).Elem())
	all.ConfigApplied.Proof, all.Message.Level = "objects", "info"
	payloads := reflect.ValueOf(all)
	n := 0
	for i := range payloads.NumField() {
		f := payloads.Type().Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		n++
		e := pipelines.Event{Version: 1, Attempt: 1, Seq: 1, Time: all.Time, Type: pipelines.EventType(jsonName(f))}
		reflect.ValueOf(&e).Elem().Field(i).Set(payloads.Field(i))
		if err := validate(t, s, e); err != nil {
			t.Errorf("%s: %v", e.Type, err)
		}
		e.Type = "progress"
		if f.Name != "Progress" && validate(t, s, e) == nil {
			t.Errorf("%s under type progress was taken", f.Name)
		}
	}
	if n != 9 {
		t.Errorf("%d payloads", n)
	}
	if validate(t, s, pipelines.Event{Version: 1, Attempt: 1, Type: pipelines.EventMessage, Message: &pipelines.Message{Level: "info"}}) == nil {
		t.Error("an event without seq was taken")
	}
}

func TestTasksFitTheSchema(t *testing.T) {
	s := compile(t, "task.schema.json")
	task := pipelines.Task{}
	fill(reflect.ValueOf(&task).Elem())
	task.Train.LearningRate, task.Train.Mode, task.Export.Precision = 0.1, "max", "int8"
	*task.Export.MaxMetricDrop = 0.005
	if err := validate(t, s, task); err != nil {
		t.Error(err)
	}
	small := pipelines.Task{Version: 1, Attempt: 1, Kind: pipelines.KindTrain, Train: &pipelines.TaskTrain{}}
	if err := validate(t, s, small); err != nil {
		t.Error(err)
	}
	small.Train = nil
	if validate(t, s, small) == nil {
		t.Error("a train task without its train part was taken")
	}
}

// TestSchemasNameEveryField: no field of the Go types is missing in a schema,
// and none stands there that the types do not have.
func TestSchemasNameEveryField(t *testing.T) {
	for file, of := range map[string]reflect.Type{
		"event.schema.json": reflect.TypeFor[pipelines.Event](),
		"task.schema.json":  reflect.TypeFor[pipelines.Task](),
	} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root node
		if err := json.Unmarshal(b, &root); err != nil {
			t.Fatal(err)
		}
		compare(t, file, root.Defs, root, of)
	}
}

type node struct {
	Ref        string          `json:"$ref"`
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
	Additional *node           `json:"additionalProperties"`
	Defs       map[string]node `json:"$defs"`
}

func compare(t *testing.T, where string, defs map[string]node, n node, of reflect.Type) {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		n = defs[name]
	}
	switch of.Kind() {
	case reflect.Pointer:
		compare(t, where, defs, n, of.Elem())
	case reflect.Slice:
		if n.Items == nil {
			t.Errorf("%s: no items", where)
			return
		}
		compare(t, where+"[]", defs, *n.Items, of.Elem())
	case reflect.Map:
		if n.Additional == nil {
			t.Errorf("%s: no additionalProperties", where)
			return
		}
		compare(t, where+"{}", defs, *n.Additional, of.Elem())
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return
		}
		names := map[string]bool{}
		for i := range of.NumField() {
			f := of.Field(i)
			name := jsonName(f)
			names[name] = true
			if p, ok := n.Properties[name]; ok {
				compare(t, where+"."+name, defs, p, f.Type)
			} else {
				t.Errorf("%s: the schema lacks %q", where, name)
			}
		}
		for name := range n.Properties {
			if !names[name] {
				t.Errorf("%s: the schema has %q, the type has not", where, name)
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
