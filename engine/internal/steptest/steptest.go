// Package steptest runs graphs in tests: it lowers one for the CPU provider,
// keeps its parameters and states between runs in two swapped sets of buffers,
// and hands everything in and out as slices.
package steptest

import (
	"context"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/ort"
	"google.golang.org/protobuf/proto"
)

// Step is a graph with its parameters and states.
type Step struct {
	g       *graph.Graph
	inputs  map[string]*ort.Tensor
	outputs map[string]*ort.Tensor
	sets    [2]map[string]*ort.Tensor // params and states: now, next
	binds   [2]*ort.Binding
	runs    int
}

// Runtime opens ONNX Runtime, or skips the test if it is not on this machine.
func Runtime(t testing.TB) *ort.Runtime {
	t.Helper()
	path, err := ort.Find()
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	rt, err := ort.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// New makes a step of g. initial holds params and states by name; those that
// it lacks start at zero.
func New(t testing.TB, g *graph.Graph, initial map[string][]float32, o lower.Options) *Step {
	t.Helper()
	rt := Runtime(t)
	model, err := lower.Model(g, lower.CPU, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	session, err := rt.NewSession(raw, ort.Options{IntraThreads: 1, NoSpinning: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	s := &Step{g: g, inputs: map[string]*ort.Tensor{}, outputs: map[string]*ort.Tensor{}}
	tensor := func(v graph.Value) *ort.Tensor {
		x, err := rt.NewTensor(dtype(t, g.DType(v)), g.Shape(v)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Close)
		return x
	}
	for _, v := range g.Inputs() {
		s.inputs[v.Name] = tensor(v.Value)
	}
	for _, v := range g.Outputs() {
		s.outputs[v.Name] = tensor(v.Value)
	}
	assigned := map[string]bool{}
	for _, a := range g.Assigns() {
		assigned[a.Name] = true
	}
	s.sets = [2]map[string]*ort.Tensor{{}, {}}
	for _, v := range append(g.Params(), g.States()...) {
		x := tensor(v.Value)
		fill(t, v.Name, x, initial[v.Name])
		s.sets[0][v.Name], s.sets[1][v.Name] = x, x
		if assigned[v.Name] {
			s.sets[1][v.Name] = tensor(v.Value)
		}
	}
	for i := range s.binds {
		s.binds[i] = s.bind(t, session, s.sets[i], s.sets[1-i], assigned)
	}
	return s
}

func (s *Step) bind(t testing.TB, session *ort.Session, from, to map[string]*ort.Tensor, assigned map[string]bool) *ort.Binding {
	b, err := session.NewBinding()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for _, in := range session.Inputs() {
		x := s.inputs[in.Name]
		if x == nil {
			x = from[in.Name]
		}
		if err := b.Input(in.Name, x); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range s.outputs {
		if err := b.Output(name, x); err != nil {
			t.Fatal(err)
		}
	}
	for name := range assigned {
		if err := b.Output(lower.OutPrefix+name, to[name]); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// Run executes the graph once. Values are float32, []float32 or []int64.
func (s *Step) Run(t testing.TB, inputs map[string]any) {
	t.Helper()
	for name, v := range inputs {
		x := s.inputs[name]
		if x == nil {
			t.Fatalf("the graph has no input %q", name)
		}
		switch v := v.(type) {
		case float32:
			fill(t, name, x, []float32{v})
		case []float32:
			fill(t, name, x, v)
		case []int64:
			fill(t, name, x, v)
		default:
			t.Fatalf("input %q is a %T", name, v)
		}
	}
	if err := s.binds[s.runs%2].Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.runs++
}

// Output returns an output of the last run.
func (s *Step) Output(t testing.TB, name string) []float32 {
	t.Helper()
	return read(t, name, s.outputs[name])
}

// Value returns a parameter or state as the last run left it.
func (s *Step) Value(t testing.TB, name string) []float32 {
	t.Helper()
	return read(t, name, s.sets[s.runs%2][name])
}

func read(t testing.TB, name string, x *ort.Tensor) []float32 {
	t.Helper()
	if x == nil {
		t.Fatalf("the graph has no %q", name)
	}
	v, err := ort.View[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), v...)
}

func fill[T ort.Element](t testing.TB, name string, x *ort.Tensor, values []T) {
	t.Helper()
	if values == nil {
		return
	}
	v, err := ort.View[T](x)
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != len(values) {
		t.Fatalf("%q has %d elements, not %d", name, len(v), len(values))
	}
	copy(v, values)
}

func dtype(t testing.TB, d graph.DType) ort.DType {
	switch d {
	case graph.Float32:
		return ort.Float32
	case graph.Int64:
		return ort.Int64
	case graph.Uint8:
		return ort.Uint8
	}
	t.Fatalf("no tensors of type %v in tests", d)
	return 0
}

// Set overwrites params and states.
func (s *Step) Set(t testing.TB, values map[string][]float32) {
	t.Helper()
	for name, v := range values {
		x := s.sets[s.runs%2][name]
		if x == nil {
			t.Fatalf("the graph has no param or state %q", name)
		}
		fill(t, name, x, v)
	}
}
