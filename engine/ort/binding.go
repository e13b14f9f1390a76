package ort

// #include "api.h"
import "C"

import (
	"context"
	"fmt"
	"unsafe"
)

// Binding ties tensors to a session's inputs and outputs. It is made once and
// run many times; a training step has two, with state buffers swapped. One run
// at a time.
type Binding struct {
	session *Session
	ptr     unsafe.Pointer
	options unsafe.Pointer     // OrtRunOptions, for stopping
	inputs  map[string]*Tensor // keeps what is bound reachable
	outputs []boundOutput      // in the order in which they were first bound
	device  bool               // some tensor is on a device
}

// boundOutput is an output's name and where it goes.
type boundOutput struct {
	name   string
	tensor *Tensor // nil when ONNX Runtime allocates it
	host   bool
}

// NewBinding makes an empty binding.
func (s *Session) NewBinding() (*Binding, error) {
	b := &Binding{session: s, inputs: map[string]*Tensor{}}
	r := s.rt
	if err := r.check(C.ort_CreateIoBinding(r.table, s.ptr, &b.ptr)); err != nil {
		return nil, fmt.Errorf("make a binding: %w", err)
	}
	if err := r.check(C.ort_CreateRunOptions(r.table, &b.options)); err != nil {
		C.ort_ReleaseIoBinding(r.table, b.ptr)
		return nil, fmt.Errorf("make run options: %w", err)
	}
	r.live.Add(1)
	return b, nil
}

// Input binds a tensor to the input of that name. A host tensor is read at
// every run on the CPU; for a session on a device it is copied there now, so
// bind it again after changing it.
func (b *Binding) Input(name string, t *Tensor) error {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	r := b.session.rt
	if err := r.check(C.ort_BindInput(r.table, b.ptr, cname, t.value)); err != nil {
		return fmt.Errorf("bind input %s (%s %v): %w", name, t.dtype, t.shape, err)
	}
	b.inputs[name] = t
	b.device = b.device || !t.host
	return nil
}

// Output binds a tensor that the run writes to the output of that name.
func (b *Binding) Output(name string, t *Tensor) error {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	r := b.session.rt
	if err := r.check(C.ort_BindOutput(r.table, b.ptr, cname, t.value)); err != nil {
		return fmt.Errorf("bind output %s (%s %v): %w", name, t.dtype, t.shape, err)
	}
	b.setOutput(boundOutput{name, t, t.host})
	return nil
}

// OutputTo lets ONNX Runtime allocate an output in a device's memory; Outputs returns it.
func (b *Binding) OutputTo(name string, m *MemoryInfo) error {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	r := b.session.rt
	if err := r.check(C.ort_BindOutputToDevice(r.table, b.ptr, cname, m.ptr)); err != nil {
		return fmt.Errorf("bind output %s to %s: %w", name, m.device, err)
	}
	b.setOutput(boundOutput{name, nil, m.host})
	return nil
}

func (b *Binding) setOutput(o boundOutput) {
	b.device = b.device || !o.host
	for i := range b.outputs {
		if b.outputs[i].name == o.name {
			b.outputs[i] = o
			return
		}
	}
	b.outputs = append(b.outputs, o)
}

// Run executes the graph on what is bound. When ctx ends the run is stopped
// between two operators and ctx's error is returned; outputs are then undefined.
func (b *Binding) Run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	r := b.session.rt
	done := b.watch(ctx)
	var err error
	if b.device {
		err = r.check(C.ort_SynchronizeBoundInputs(r.table, b.ptr))
	}
	if err == nil {
		err = r.check(C.ort_RunWithBinding(r.table, b.session.ptr, b.options, b.ptr))
	}
	if err == nil && b.device {
		err = r.check(C.ort_SynchronizeBoundOutputs(r.table, b.ptr))
	}
	if done() && err != nil {
		return fmt.Errorf("run stopped: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// watch stops the run when ctx ends. The function it returns ends the watch
// and reports whether a stop was asked for.
func (b *Binding) watch(ctx context.Context) func() bool {
	if ctx.Done() == nil {
		return func() bool { return false }
	}
	r, asked := b.session.rt, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = r.check(C.ort_RunOptionsSetTerminate(r.table, b.options))
		close(asked)
	})
	return func() bool {
		if stop() {
			return false
		}
		<-asked
		_ = r.check(C.ort_RunOptionsUnsetTerminate(r.table, b.options))
		return true
	}
}

// Outputs returns the outputs of the last run in the order in which they were
// first bound. The caller closes them; those bound with Output share its memory.
func (b *Binding) Outputs() ([]*Tensor, error) {
	r := b.session.rt
	var list *unsafe.Pointer
	var n C.size_t
	if err := r.check(C.ort_GetBoundOutputValues(r.table, b.ptr, r.allocator, &list, &n)); err != nil {
		return nil, fmt.Errorf("read outputs: %w", err)
	}
	defer func() { _ = r.check(C.ort_AllocatorFree(r.table, r.allocator, unsafe.Pointer(list))) }()
	values := unsafe.Slice(list, int(n))
	tensors := make([]*Tensor, 0, len(values))
	for i, v := range values {
		t, err := r.adopt(v, i < len(b.outputs) && b.outputs[i].host)
		if err != nil {
			for _, t := range tensors {
				t.Close()
			}
			for _, v := range values[i:] {
				C.ort_ReleaseValue(r.table, v)
			}
			return nil, fmt.Errorf("read output %d: %w", i, err)
		}
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// Close releases the binding, not the tensors.
func (b *Binding) Close() {
	if b == nil || b.ptr == nil {
		return
	}
	r := b.session.rt
	C.ort_ReleaseIoBinding(r.table, b.ptr)
	C.ort_ReleaseRunOptions(r.table, b.options)
	b.ptr, b.options, b.inputs, b.outputs = nil, nil, nil, nil
	r.live.Add(-1)
}
