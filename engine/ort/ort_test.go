package ort

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// open loads the library that this machine has, or skips.
func open(t *testing.T) *Runtime {
	t.Helper()
	path, err := Find()
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	rt, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func session(t *testing.T, rt *Runtime, model []byte, o Options) *Session {
	t.Helper()
	s, err := rt.NewSession(model, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func floats(t *testing.T, rt *Runtime, values []float32, shape ...int) *Tensor {
	t.Helper()
	x, err := FromSlice(rt, Float32, values, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func view(t *testing.T, x *Tensor) []float32 {
	t.Helper()
	v, err := View[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenIsOnePerProcess(t *testing.T) {
	rt := open(t)
	again, err := Open(rt.Path())
	must(t, err)
	if again != rt {
		t.Error("a second Open of the same path made a second Runtime")
	}
	if _, err := Open("/nonexistent/libonnxruntime.so"); err == nil || !strings.Contains(err.Error(), "already loaded") {
		t.Errorf("opening another library: got %v, want an error saying one is loaded", err)
	}
	providers, err := rt.Providers()
	must(t, err)
	if !slices.Contains(providers, "CPUExecutionProvider") {
		t.Errorf("providers %v lack the CPU's", providers)
	}
	if rt.Version() == "" {
		t.Error("no version")
	}
}

func TestLoadRefusesWhatIsNoLibrary(t *testing.T) {
	path := t.TempDir() + "/libonnxruntime.so"
	must(t, os.WriteFile(path, []byte("not a library"), 0o600))
	if _, err := load(path); err == nil || !strings.Contains(err.Error(), Version) {
		t.Errorf("got %v, want an error that names the version needed", err)
	}
}

func TestSessionDescribesItself(t *testing.T) {
	rt := open(t)
	s := session(t, rt, nodeModel("Add", Float32, []string{"a", "b"}, []string{"c"}), Options{})
	if got := s.Inputs(); len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" || got[0].DType != Float32 {
		t.Errorf("inputs %+v", got)
	}
	if got := s.Outputs(); len(got) != 1 || got[0].Name != "c" {
		t.Errorf("outputs %+v", got)
	}
}

// A step bound once in both directions goes on from its own result.
func TestPairedBuffersSwap(t *testing.T) {
	rt := open(t)
	s := session(t, rt, nodeModel("Add", Float32, []string{"state", "step"}, []string{"next"}), Options{IntraThreads: 1})
	a, b := floats(t, rt, []float32{1, 2}, 2), floats(t, rt, []float32{0, 0}, 2)
	step := floats(t, rt, []float32{1, 10}, 2)
	var bindings [2]*Binding
	for i, pair := range [][2]*Tensor{{a, b}, {b, a}} {
		bind, err := s.NewBinding()
		must(t, err)
		t.Cleanup(bind.Close)
		must(t, bind.Input("state", pair[0]))
		must(t, bind.Input("step", step))
		must(t, bind.Output("next", pair[1]))
		bindings[i] = bind
	}
	for i := range 5 {
		must(t, bindings[i%2].Run(t.Context()))
		view(t, step)[0]++ // a bound input's memory is read anew by each run
	}
	if got := view(t, b); got[0] != 1+1+2+3+4+5 || got[1] != 52 {
		t.Errorf("after 5 steps got %v, want [16 52]", got)
	}
}

func TestOutputsAllocatedByTheRuntime(t *testing.T) {
	rt := open(t)
	s := session(t, rt, nodeModel("MatMul", Float32, []string{"a", "b"}, []string{"c"}), Options{Optimization: OptBasic, NoArena: true, NoSpinning: true})
	host, err := rt.NewCPUMemory()
	must(t, err)
	defer host.Close()
	b, err := s.NewBinding()
	must(t, err)
	defer b.Close()
	must(t, b.Input("a", floats(t, rt, []float32{1, 2, 3, 4}, 2, 2)))
	must(t, b.Input("b", floats(t, rt, []float32{1, 1}, 2, 1)))
	must(t, b.OutputTo("c", host))
	must(t, b.Run(t.Context()))
	outs, err := b.Outputs()
	must(t, err)
	defer outs[0].Close()
	if got := view(t, outs[0]); !slices.Equal(got, []float32{3, 7}) || !slices.Equal(outs[0].Shape(), []int{2, 1}) {
		t.Errorf("got %v of shape %v, want [3 7] of shape [2 1]", got, outs[0].Shape())
	}
}

func TestAllocatorOfASession(t *testing.T) {
	rt := open(t)
	s := session(t, rt, identityModel(Float32), Options{})
	host, err := rt.NewCPUMemory()
	must(t, err)
	defer host.Close()
	x, err := s.NewTensorIn(host, Float32, 3)
	must(t, err)
	defer x.Close()
	copy(view(t, x), []float32{1, 2, 3})
	y := floats(t, rt, make([]float32, 3), 3)
	b, err := s.NewBinding()
	must(t, err)
	defer b.Close()
	must(t, b.Input("x", x))
	must(t, b.Output("y", y))
	must(t, b.Run(t.Context()))
	if got := view(t, y); !slices.Equal(got, []float32{1, 2, 3}) {
		t.Errorf("got %v", got)
	}
	z := floats(t, rt, make([]float32, 3), 3)
	c := rt.NewCopier(Options{})
	defer c.Close()
	must(t, c.Copy(t.Context(), z, x))
	if got := view(t, z); !slices.Equal(got, []float32{1, 2, 3}) {
		t.Errorf("copy: got %v", got)
	}
	if err := c.Copy(t.Context(), floats(t, rt, []float32{0}, 1), x); err == nil {
		t.Error("copy into another shape succeeded")
	}
}

// slow is a graph that takes long enough to be stopped: 60 large products in a row.
func slow() []byte {
	var graph []byte
	name := func(i int) string { return "v" + string(rune('A'+i)) }
	for i := range 60 {
		var node []byte
		node = field(field(node, 1, []byte(name(i))), 1, []byte("w"))
		node = field(field(node, 2, []byte(name(i+1))), 4, []byte("MatMul"))
		graph = field(graph, 1, node)
	}
	graph = field(graph, 2, []byte("slow"))
	graph = field(field(graph, 11, valueInfo(name(0), Float32)), 11, valueInfo("w", Float32))
	graph = field(graph, 12, valueInfo(name(60), Float32))
	return field(field(varint(nil, 1, 8), 7, graph), 8, varint(nil, 2, 17))
}

func TestContextStopsARun(t *testing.T) {
	rt := open(t)
	s := session(t, rt, slow(), Options{IntraThreads: 1})
	const n = 512
	x := floats(t, rt, make([]float32, n*n), n, n)
	y := floats(t, rt, make([]float32, n*n), n, n)
	b, err := s.NewBinding()
	must(t, err)
	defer b.Close()
	must(t, b.Input(s.Inputs()[0].Name, x))
	must(t, b.Input("w", x))
	must(t, b.Output(s.Outputs()[0].Name, y))
	start := time.Now()
	must(t, b.Run(t.Context()))
	whole := time.Since(start)
	ctx, cancel := context.WithTimeout(t.Context(), whole/20)
	defer cancel()
	err = b.Run(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want deadline exceeded", err)
	}
	must(t, b.Run(t.Context())) // the binding still works
	if err := b.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a run whose context has ended: got %v", err)
	}
}

func TestErrorsCarryTheLibrarysMessage(t *testing.T) {
	rt := open(t)
	_, err := rt.NewSession([]byte("no model"), Options{})
	var e *Error
	if !errors.As(err, &e) || e.Code == 0 || e.Message == "" {
		t.Errorf("got %v, want an *Error with code and message", err)
	}
	if _, err := rt.NewSession(nodeModel("NoSuchOp", Float32, []string{"x"}, []string{"y"}), Options{}); err == nil || !strings.Contains(err.Error(), "NoSuchOp") {
		t.Errorf("got %v, want an error naming the operator", err)
	}
	if _, err := rt.NewSession(identityModel(Float32), Options{Optimization: "most"}); err == nil || !strings.Contains(err.Error(), "most") {
		t.Errorf("unknown optimisation level: got %v", err)
	}
	if _, err := rt.NewSession(identityModel(Float32), Options{CustomOps: []string{"/nonexistent/ops.so"}}); err == nil || !strings.Contains(err.Error(), "/nonexistent/ops.so") {
		t.Errorf("missing custom ops: got %v", err)
	}
	if !rt.HasCUDA() {
		if _, err := rt.NewSession(identityModel(Float32), Options{CUDA: map[string]string{"device_id": "0"}}); err == nil || !strings.Contains(err.Error(), "CUDA") {
			t.Errorf("CUDA without the provider: got %v", err)
		}
	}
	s := session(t, rt, identityModel(Float32), Options{Config: map[string]string{"session.intra_op.allow_spinning": "0"}})
	b, err := s.NewBinding()
	must(t, err)
	defer b.Close()
	if err := b.Run(t.Context()); err == nil {
		t.Error("a run with nothing bound succeeded")
	}
	ints, err := rt.NewTensor(Int64, 2)
	must(t, err)
	defer ints.Close()
	must(t, b.Input("x", ints))
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "int64") {
		t.Errorf("wrong element type: got %v", err)
	}
}

// A product larger than any address space is memory that runs out in earnest;
// the session goes on with less.
func TestMemoryThatRunsOut(t *testing.T) {
	rt := open(t)
	s := session(t, rt, nodeModel("MatMul", Float32, []string{"a", "b"}, []string{"c"}), Options{IntraThreads: 1, SharedArena: true})
	host, err := rt.NewCPUMemory()
	must(t, err)
	defer host.Close()
	product := func(n int) error {
		b, err := s.NewBinding()
		must(t, err)
		defer b.Close()
		x := make([]float32, n)
		must(t, b.Input("a", floats(t, rt, x, n, 1)))
		must(t, b.Input("b", floats(t, rt, x, 1, n)))
		must(t, b.OutputTo("c", host))
		return b.Run(t.Context())
	}
	for range 2 {
		err := product(8_000_000) // 256 TB
		var e *Error
		if !errors.As(err, &e) || !e.OutOfMemory() {
			t.Fatalf("got %v, want an *Error that says that memory ran out", err)
		}
		must(t, product(3))
	}
	if _, err := rt.NewTensor(Float32, 8_000_000, 8_000_000); !errors.As(err, new(*Error)) || !err.(*Error).OutOfMemory() {
		t.Errorf("a tensor of that size: %v", err)
	}
	for message, want := range map[string]bool{
		"Available memory of 1024 is smaller than requested bytes of 4096":                  true,
		"CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size)":         true,
		"CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&handle)": true,
		"CUDNN failure 2: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0":                            false,
	} {
		if got := (&Error{Message: message}).OutOfMemory(); got != want {
			t.Errorf("%q: out of memory is %v", message, got)
		}
	}
}

func TestTensorsGuardTheirMemory(t *testing.T) {
	rt := open(t)
	if _, err := rt.NewTensor(Float32, math.MaxInt/2, 8); err == nil {
		t.Error("an impossible shape was accepted")
	}
	if _, err := rt.NewTensor(Float32, -1); err == nil {
		t.Error("a negative dimension was accepted")
	}
	if _, err := FromSlice(rt, Float32, []float32{1, 2, 3}, 2); err == nil {
		t.Error("three values went into two places")
	}
	x := floats(t, rt, []float32{1, 2}, 2)
	if _, err := View[int32](x); err == nil {
		t.Error("float32 was viewed as int32")
	}
	scalar := floats(t, rt, []float32{4})
	if len(scalar.Shape()) != 0 || scalar.Size() != 4 {
		t.Errorf("scalar has shape %v and %d bytes", scalar.Shape(), scalar.Size())
	}
	half, err := rt.NewTensor(Float16, 3)
	must(t, err)
	defer half.Close()
	if v, err := View[uint16](half); err != nil || len(v) != 3 {
		t.Errorf("float16 as uint16: %v, %v", v, err)
	}
	empty, err := rt.NewTensor(Float32, 0, 4)
	must(t, err)
	empty.Close()
	empty.Close() // harmless
}
