package ort

// #include "api.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Session is a loaded graph, ready to run. Runs of different bindings may be concurrent.
type Session struct {
	rt      *Runtime
	ptr     unsafe.Pointer
	inputs  []ValueInfo
	outputs []ValueInfo
}

// ValueInfo describes a graph input or output.
type ValueInfo struct {
	Name  string
	DType DType
	Shape []int // -1 = not fixed
}

// NewSession makes a session from an ONNX model in memory.
func (r *Runtime) NewSession(model []byte, o Options) (*Session, error) {
	if len(model) == 0 {
		return nil, errors.New("make an ONNX Runtime session: the model is empty")
	}
	options, err := o.build(r)
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	defer C.ort_ReleaseSessionOptions(r.table, options)
	var ptr unsafe.Pointer
	if err := r.check(C.ort_CreateSessionFromArray(r.table, r.env, unsafe.Pointer(&model[0]), C.size_t(len(model)), options, &ptr)); err != nil {
		return nil, fmt.Errorf("make an ONNX Runtime session: %w", err)
	}
	s := &Session{rt: r, ptr: ptr}
	r.live.Add(1)
	if err := s.describe(); err != nil {
		s.Close()
		return nil, fmt.Errorf("read the session's inputs and outputs: %w", err)
	}
	return s, nil
}

// Inputs lists the graph's inputs in its order.
func (s *Session) Inputs() []ValueInfo { return s.inputs }

// Outputs lists the graph's outputs in its order.
func (s *Session) Outputs() []ValueInfo { return s.outputs }

// Close releases the session. Its bindings must be closed before.
func (s *Session) Close() {
	if s == nil || s.ptr == nil {
		return
	}
	C.ort_ReleaseSession(s.rt.table, s.ptr)
	s.ptr = nil
	s.rt.live.Add(-1)
}

func (s *Session) describe() error {
	t := s.rt.table
	var ni, no C.size_t
	if err := s.rt.check(C.ort_SessionGetInputCount(t, s.ptr, &ni)); err != nil {
		return err
	}
	if err := s.rt.check(C.ort_SessionGetOutputCount(t, s.ptr, &no)); err != nil {
		return err
	}
	for i := range ni {
		var name *C.char
		var info unsafe.Pointer
		if err := s.rt.check(C.ort_SessionGetInputName(t, s.ptr, i, s.rt.allocator, &name)); err != nil {
			return err
		}
		v, err := s.value(name, s.rt.check(C.ort_SessionGetInputTypeInfo(t, s.ptr, i, &info)), info)
		if err != nil {
			return err
		}
		s.inputs = append(s.inputs, v)
	}
	for i := range no {
		var name *C.char
		var info unsafe.Pointer
		if err := s.rt.check(C.ort_SessionGetOutputName(t, s.ptr, i, s.rt.allocator, &name)); err != nil {
			return err
		}
		v, err := s.value(name, s.rt.check(C.ort_SessionGetOutputTypeInfo(t, s.ptr, i, &info)), info)
		if err != nil {
			return err
		}
		s.outputs = append(s.outputs, v)
	}
	return nil
}

// value takes over name and info and frees both.
func (s *Session) value(name *C.char, err error, info unsafe.Pointer) (ValueInfo, error) {
	v := ValueInfo{Name: C.GoString(name)}
	if free := s.rt.check(C.ort_AllocatorFree(s.rt.table, s.rt.allocator, unsafe.Pointer(name))); free != nil && err == nil {
		err = free
	}
	if err != nil {
		return v, err
	}
	defer C.ort_ReleaseTypeInfo(s.rt.table, info)
	var tensor unsafe.Pointer // belongs to info
	if err := s.rt.check(C.ort_CastTypeInfoToTensorInfo(s.rt.table, info, &tensor)); err != nil {
		return v, err
	}
	if tensor == nil {
		return v, fmt.Errorf("%s is not a tensor", v.Name)
	}
	v.DType, v.Shape, err = s.rt.typeAndShape(tensor)
	return v, err
}
