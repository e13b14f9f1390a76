package ort

// #include "api.h"
import "C"

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Tensor is a dense array in C memory or on a device. Its address never
// changes, so it can stay bound to sessions. It must be closed.
type Tensor struct {
	rt    *Runtime
	value unsafe.Pointer // OrtValue
	mem   unsafe.Pointer // host memory that this tensor owns, nil when ONNX Runtime owns it
	data  unsafe.Pointer // first element; on a device not readable from here
	// allocator made the value and must outlive it; nil when the runtime's own did.
	allocator unsafe.Pointer
	dtype     DType
	shape     []int
	bytes     int
	host      bool
}

// NewTensor makes a tensor of zeros in host memory. A shape without dimensions is a scalar.
func (r *Runtime) NewTensor(dtype DType, shape ...int) (*Tensor, error) {
	bytes, err := byteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	mem := C.ort_alloc(C.size_t(bytes))
	if mem == nil {
		return nil, &Error{Message: fmt.Sprintf("failed to allocate %d bytes for a %s tensor of shape %v", bytes, dtype, shape)}
	}
	t := &Tensor{rt: r, mem: mem, data: mem, dtype: dtype, shape: slices.Clone(shape), bytes: bytes, host: true}
	dims := cdims(shape)
	err = r.check(C.ort_CreateTensorWithDataAsOrtValue(r.table, r.cpu, mem, C.size_t(bytes),
		unsafe.SliceData(dims), C.size_t(len(shape)), C.int(dtype), &t.value))
	if err != nil {
		C.free(mem)
		return nil, fmt.Errorf("make a %s tensor of shape %v: %w", dtype, shape, err)
	}
	r.live.Add(1)
	return t, nil
}

// FromSlice makes a host tensor and copies values into it.
func FromSlice[T Element](r *Runtime, dtype DType, values []T, shape ...int) (*Tensor, error) {
	t, err := r.NewTensor(dtype, shape...)
	if err != nil {
		return nil, err
	}
	view, err := View[T](t)
	if err == nil && len(view) != len(values) {
		err = fmt.Errorf("tensor of shape %v has %d elements, got %d values", shape, len(view), len(values))
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	copy(view, values)
	return t, nil
}

// View returns the elements of a host tensor without copying. The slice is
// valid until the tensor is closed.
func View[T Element](t *Tensor) ([]T, error) {
	if !fits[T](t.dtype) {
		var zero T
		return nil, fmt.Errorf("a %s tensor cannot be viewed as %T", t.dtype, zero)
	}
	if !t.host {
		return nil, fmt.Errorf("a tensor on a device cannot be viewed: copy it to the host first")
	}
	return unsafe.Slice((*T)(t.data), t.bytes/t.dtype.Size()), nil
}

// Bytes returns a host tensor's memory, nil for one on a device.
func (t *Tensor) Bytes() []byte {
	if !t.host {
		return nil
	}
	return unsafe.Slice((*byte)(t.data), t.bytes)
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions, outermost first.
func (t *Tensor) Shape() []int { return slices.Clone(t.shape) }

// Size returns the bytes of all elements.
func (t *Tensor) Size() int { return t.bytes }

// Close releases the tensor's memory. No session may be using it.
func (t *Tensor) Close() {
	if t == nil || t.value == nil {
		return
	}
	C.ort_ReleaseValue(t.rt.table, t.value)
	C.ort_ReleaseAllocator(t.rt.table, t.allocator)
	C.free(t.mem)
	t.value, t.mem, t.data, t.allocator = nil, nil, nil, nil
	t.bytes = 0
	t.rt.live.Add(-1)
}

// adopt wraps a value that ONNX Runtime allocated.
func (r *Runtime) adopt(value unsafe.Pointer, host bool) (*Tensor, error) {
	var info unsafe.Pointer
	if err := r.check(C.ort_GetTensorTypeAndShape(r.table, value, &info)); err != nil {
		return nil, err
	}
	defer C.ort_ReleaseTensorTypeAndShapeInfo(r.table, info)
	dtype, shape, err := r.typeAndShape(info)
	if err != nil {
		return nil, err
	}
	t := &Tensor{rt: r, value: value, dtype: dtype, shape: shape, host: host}
	if t.bytes, err = byteSize(dtype, shape); err != nil {
		return nil, err
	}
	if err := r.check(C.ort_GetTensorMutableData(r.table, value, &t.data)); err != nil {
		return nil, err
	}
	r.live.Add(1)
	return t, nil
}

// typeAndShape reads an OrtTensorTypeAndShapeInfo. Unknown dimensions are -1.
func (r *Runtime) typeAndShape(info unsafe.Pointer) (DType, []int, error) {
	var dtype C.int
	if err := r.check(C.ort_GetTensorElementType(r.table, info, &dtype)); err != nil {
		return 0, nil, err
	}
	var rank C.size_t
	if err := r.check(C.ort_GetDimensionsCount(r.table, info, &rank)); err != nil {
		return 0, nil, err
	}
	dims := make([]C.int64_t, int(rank)+1)
	if err := r.check(C.ort_GetDimensions(r.table, info, &dims[0], rank)); err != nil {
		return 0, nil, err
	}
	shape := make([]int, int(rank))
	for i := range shape {
		shape[i] = int(dims[i])
	}
	return DType(dtype), shape, nil
}

func cdims(shape []int) []C.int64_t {
	dims := make([]C.int64_t, len(shape)+1) // never empty, so that its address exists
	for i, d := range shape {
		dims[i] = C.int64_t(d)
	}
	return dims
}

func byteSize(dtype DType, shape []int) (int, error) {
	n := dtype.Size()
	if n == 0 {
		return 0, fmt.Errorf("tensors of %s are not supported", dtype)
	}
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt/d) {
			return 0, fmt.Errorf("no tensor can have shape %v", shape)
		}
		n *= d
	}
	return n, nil
}
