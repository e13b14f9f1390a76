package ort

// #include "api.h"
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Runtime is a loaded ONNX Runtime library with its environment. It is safe
// for concurrent use and stays loaded until the process ends.
type Runtime struct {
	path      string
	version   string
	table     C.OrtTable
	env       unsafe.Pointer
	cpu       unsafe.Pointer // OrtMemoryInfo of host memory
	allocator unsafe.Pointer // ONNX Runtime's default, for the strings it returns
	live      atomic.Int64   // C objects not yet closed
}

// One library a process: its environment is global, and unloading it while
// thread pools live is not supported.
var (
	openMu sync.Mutex
	opened *Runtime
)

// Open loads the library at path. A second call with the same path returns the
// same Runtime; another path is an error.
func Open(path string) (*Runtime, error) {
	openMu.Lock()
	defer openMu.Unlock()
	if opened != nil {
		if opened.path != path {
			return nil, fmt.Errorf("open ONNX Runtime %s: this process has already loaded %s", path, opened.path)
		}
		return opened, nil
	}
	rt, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("open ONNX Runtime %s: %w", path, err)
	}
	opened = rt
	return rt, nil
}

func load(path string) (*Runtime, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var version, fail *C.char
	table := C.ort_load(cpath, &version, &fail)
	if table == nil {
		defer C.free(unsafe.Pointer(fail))
		return nil, fmt.Errorf("%s (needed: libonnxruntime for this machine, version %s)", C.GoString(fail), Version)
	}
	rt := &Runtime{path: path, version: C.GoString(version), table: table}
	id := C.CString("trainwright")
	defer C.free(unsafe.Pointer(id))
	if err := rt.check(C.ort_CreateEnv(table, C.OrtLoggingLevelError, id, &rt.env)); err != nil {
		return nil, err
	}
	if err := rt.check(C.ort_CreateCpuMemoryInfo(table, C.OrtDeviceAllocator, C.OrtMemTypeDefault, &rt.cpu)); err != nil {
		return nil, err
	}
	if err := rt.check(C.ort_GetAllocatorWithDefaultOptions(table, &rt.allocator)); err != nil {
		return nil, err
	}
	return rt, rt.shareArena()
}

// shareArena gives the environment one host memory arena, for the sessions
// that ask for it (Options.SharedArena).
func (r *Runtime) shareArena() error {
	var info, config unsafe.Pointer
	if err := r.check(C.ort_CreateCpuMemoryInfo(r.table, C.OrtArenaAllocator, C.OrtMemTypeDefault, &info)); err != nil {
		return err
	}
	defer C.ort_ReleaseMemoryInfo(r.table, info)
	const noLimit, byDefault = 0, -1
	if err := r.check(C.ort_CreateArenaCfg(r.table, noLimit, byDefault, byDefault, byDefault, &config)); err != nil {
		return err
	}
	defer C.ort_ReleaseArenaCfg(r.table, config)
	return r.check(C.ort_CreateAndRegisterAllocator(r.table, r.env, info, config))
}

// Path returns the file that was loaded.
func (r *Runtime) Path() string { return r.path }

// Version returns the library's own version, such as "1.32.0".
func (r *Runtime) Version() string { return r.version }

// Providers lists the execution providers compiled into the library, such as
// "CUDAExecutionProvider". A listed one may still lack its own libraries.
func (r *Runtime) Providers() ([]string, error) {
	var list **C.char
	var n C.int
	if err := r.check(C.ort_GetAvailableProviders(r.table, &list, &n)); err != nil {
		return nil, fmt.Errorf("list execution providers: %w", err)
	}
	names := make([]string, 0, int(n))
	for _, p := range unsafe.Slice(list, int(n)) {
		names = append(names, C.GoString(p))
	}
	return names, r.check(C.ort_ReleaseAvailableProviders(r.table, list, n))
}

// HasCUDA reports whether the library was built with the CUDA provider.
func (r *Runtime) HasCUDA() bool {
	names, err := r.Providers()
	return err == nil && slices.Contains(names, "CUDAExecutionProvider")
}
