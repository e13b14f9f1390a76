package runner

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// prove compares the config that a step reports as applied, read back from
// what it built, with the one that was planned. A field that the user wrote
// and that is unread, unsupported or different is an error; of a default or
// preset it is a warning.
func prove(task pipelines.Task, spec pipelines.Spec, applied pipelines.ConfigApplied) Problems {
	if task.Train == nil {
		return nil
	}
	c := comparison{spec: spec, applied: applied}
	written := map[string]bool{}
	for _, name := range task.Train.Written {
		written[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(task.Train.Config)) {
		got, read := applied.Values[name]
		c.field("config."+name, name, written[name], task.Train.Config[name], got, read)
	}
	for _, a := range attributes(task, spec) {
		got, read := applied.Attributes[a.name]
		if !read {
			got, read = applied.Values[a.name]
		}
		if a.name == "device" {
			a.want, got = class(a.want), class(got)
		}
		if read || (a.written && !a.optional) { // an unwritten attribute need not be told
			c.field(a.field, a.name, a.written, a.want, got, read)
		}
	}
	return c.out
}

// comparison collects what does not agree.
type comparison struct {
	spec    pipelines.Spec
	applied pipelines.ConfigApplied
	out     Problems
}

func (c *comparison) field(field, name string, written bool, want, got any, read bool) {
	find := warning
	if written {
		find = problem
	}
	r := fieldRange(c.spec, field)
	reason, unsupported := c.applied.Unsupported[name]
	switch {
	case unsupported && want == false && same(want, got):
		// What is switched off need not be supported.
	case unsupported:
		c.out = append(c.out, find(r, "Setting not supported",
			"%s: %s = %v can have no effect here: %s. Remove it, or run where it is supported.", c.spec.Address, name, want, reason))
	case !read:
		c.out = append(c.out, find(r, "Setting not applied",
			"%s: %s = %v was read by nobody: adapter %q built the training without it. Remove it; if the adapter should read it, that is a defect of the adapter.",
			c.spec.Address, name, want, c.spec.Adapter))
	case !same(want, got):
		c.out = append(c.out, find(r, "Setting applied differently",
			"%s: %s should be %v and is %v in the training that adapter %q built.", c.spec.Address, name, want, got, c.spec.Adapter))
	}
}

// attribute is a value of the train or model block that a step must apply.
type attribute struct {
	name     string // as reported
	field    string // of Inputs, for the source range
	want     any
	written  bool
	optional bool // the protocol does not require that it is told
}

func attributes(task pipelines.Task, spec pipelines.Spec) []attribute {
	t := task.Train
	list := []attribute{
		{name: "epochs", field: "epochs", want: t.Epochs, written: true},
		{name: "batch_size", field: "batch_size", want: t.BatchSize, written: true},
		{name: "learning_rate", field: "learning_rate", want: t.LearningRate, written: learningRateWritten(spec)},
		{name: "seed", field: "seed", want: t.Seed, written: wrote(spec, "seed")},
		{name: "monitor", field: "monitor", want: t.Monitor, written: wrote(spec, "monitor"), optional: true},
		{name: "mode", field: "mode", want: t.Mode, written: wrote(spec, "mode"), optional: true},
	}
	if class(t.Device) != "auto" && t.Device != "" {
		list = append(list, attribute{name: "device", field: "device", want: t.Device, written: wrote(spec, "device")})
	}
	if m := task.Model; m != nil {
		if m.ImageSize > 0 {
			list = append(list, attribute{name: "image_size", field: "model.image_size", want: m.ImageSize, written: wrote(spec, "model.image_size")})
		}
		if m.NumClasses > 0 {
			list = append(list, attribute{name: "num_classes", field: "model.num_classes", want: m.NumClasses, written: wrote(spec, "model.num_classes")})
		}
	}
	return list
}

func wrote(spec pipelines.Spec, field string) bool { return !fieldRange(spec, field).IsZero() }

func learningRateWritten(spec pipelines.Spec) bool {
	s, ok := spec.Train.Config["optimizer.learning_rate"]
	return ok && s.Origin.Written() && s.Inactive == ""
}

// class is a device without its number.
func class(device any) any {
	s, ok := device.(string)
	if !ok {
		return device
	}
	c, _, _ := strings.Cut(s, ":")
	return c
}

// tolerance is what a value read back from a float32 may differ by, relatively.
const tolerance = 1e-6

// same compares values across JSON, Go and Python: 1 equals 1.0, and numbers
// read back from float32 equal what was written.
func same(want, got any) bool {
	w, wok := number(want)
	g, gok := number(got)
	if wok && gok {
		return w == g || math.Abs(w-g) <= tolerance*math.Max(math.Abs(w), math.Abs(g)) || (math.IsNaN(w) && math.IsNaN(g))
	}
	wl, wok := list(want)
	gl, gok := list(got)
	if wok && gok {
		return slices.EqualFunc(wl, gl, same)
	}
	return reflect.DeepEqual(want, got)
}

func number(v any) (float64, bool) {
	switch r := reflect.ValueOf(v); {
	case v == nil:
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	case r.Type().String() == "json.Number":
		return number(plainNumber(v))
	}
	return 0, false
}

func list(v any) ([]any, bool) {
	r := reflect.ValueOf(v)
	if v == nil || r.Kind() != reflect.Slice {
		return nil, false
	}
	out := make([]any, r.Len())
	for i := range out {
		out[i] = r.Index(i).Interface()
	}
	return out, true
}

// proofMissing is what is said of a training step that reports results
// without having said what it applied.
func proofMissing(spec pipelines.Spec, before pipelines.EventType) Problems {
	return Problems{problem(pipelines.Range{}, "Applied config not reported",
		"%s: adapter %q sent %s before config_applied, so that nobody can tell whether your settings count. That is a defect of the adapter.",
		spec.Address, spec.Adapter, fmt.Sprintf("%q", before))}
}
