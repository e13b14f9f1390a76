package ort

// #include "api.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// MemoryInfo names a kind of memory: the host's, a CUDA device's, or memory of
// the host that such a device reads and writes directly.
type MemoryInfo struct {
	rt     *Runtime
	ptr    unsafe.Pointer
	device string
	host   bool
}

// NewCPUMemory names host memory.
func (r *Runtime) NewCPUMemory() (*MemoryInfo, error) {
	return r.newMemory("Cpu", 0, C.OrtMemTypeDefault)
}

// NewCUDAMemory names the memory of one CUDA device.
func (r *Runtime) NewCUDAMemory(device int) (*MemoryInfo, error) {
	return r.newMemory("Cuda", device, C.OrtMemTypeDefault)
}

// NewPinnedMemory names host memory that is locked for one CUDA device.
func (r *Runtime) NewPinnedMemory(device int) (*MemoryInfo, error) {
	return r.newMemory("CudaPinned", device, C.OrtMemTypeCPUOutput)
}

func (r *Runtime) newMemory(name string, id int, kind C.int) (*MemoryInfo, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	m := &MemoryInfo{rt: r, device: fmt.Sprintf("%s:%d", name, id), host: name != "Cuda"}
	if err := r.check(C.ort_CreateMemoryInfo(r.table, cname, C.OrtDeviceAllocator, C.int(id), kind, &m.ptr)); err != nil {
		return nil, fmt.Errorf("name the memory of %s: %w", m.device, err)
	}
	r.live.Add(1)
	return m, nil
}

// Close releases the name, not the memory.
func (m *MemoryInfo) Close() {
	if m == nil || m.ptr == nil {
		return
	}
	C.ort_ReleaseMemoryInfo(m.rt.table, m.ptr)
	m.ptr = nil
	m.rt.live.Add(-1)
}

// NewTensorIn makes a tensor in the memory that m names, allocated by the
// session's provider. Its content is undefined, and it must be closed before
// the session.
func (s *Session) NewTensorIn(m *MemoryInfo, dtype DType, shape ...int) (*Tensor, error) {
	bytes, err := byteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	r := s.rt
	var allocator unsafe.Pointer
	if err := r.check(C.ort_CreateAllocator(r.table, s.ptr, m.ptr, &allocator)); err != nil {
		return nil, fmt.Errorf("allocate on %s: %w", m.device, err)
	}
	t := &Tensor{rt: r, allocator: allocator, dtype: dtype, shape: slices.Clone(shape), bytes: bytes, host: m.host}
	dims := cdims(shape)
	if err := r.check(C.ort_CreateTensorAsOrtValue(r.table, allocator, unsafe.SliceData(dims), C.size_t(len(shape)), C.int(dtype), &t.value)); err != nil {
		C.ort_ReleaseAllocator(r.table, allocator)
		return nil, fmt.Errorf("allocate a %s tensor of shape %v on %s: %w", dtype, shape, m.device, err)
	}
	r.live.Add(1)
	if err := r.check(C.ort_GetTensorMutableData(r.table, t.value, &t.data)); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}
