package ort

// #include "api.h"
import "C"

import (
	"fmt"
	"maps"
	"slices"
	"unsafe"
)

// OptLevel says how far ONNX Runtime rewrites a graph when a session is made.
type OptLevel string

const (
	OptAll      OptLevel = "" // everything, layout changes included
	OptNone     OptLevel = "none"
	OptBasic    OptLevel = "basic" // constant folding, redundant nodes
	OptExtended OptLevel = "extended"
)

var optLevels = map[OptLevel]C.int{OptNone: 0, OptBasic: 1, OptExtended: 2, OptAll: 99}

// Options are a session's settings. The zero value is ONNX Runtime's own
// default on the CPU, but without memory patterns: they cost about 1 GB of
// peak memory on a training step and bring no visible speed.
type Options struct {
	IntraThreads int      // threads within an operator; 0 = one per core
	InterThreads int      // threads across operators; 0 = ONNX Runtime's choice
	Optimization OptLevel // how far the graph is rewritten
	MemPattern   bool     // plan one block of memory per run
	NoArena      bool     // allocate and free instead of keeping an arena (slower)
	// SharedArena takes host memory from one arena of the process: sessions
	// that never run at the same time then need only what the largest needs.
	SharedArena bool
	// NoSpinning lets idle threads sleep at once: right when other threads of
	// the process compute too, slower otherwise.
	NoSpinning    bool
	Deterministic bool              // ask for deterministic kernels where a provider has a choice
	Config        map[string]string // further session config entries ("session.…")
	// CUDA, when not nil, runs the session on the CUDA provider with these
	// options ("device_id": "0"); what it cannot run falls back to the CPU.
	CUDA      map[string]string
	CustomOps []string // paths of custom-op libraries
	SaveTo    string   // write the graph as optimised to this file; "" = don't
}

// build makes an OrtSessionOptions; the caller releases it.
func (o Options) build(r *Runtime) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	if err := r.check(C.ort_CreateSessionOptions(r.table, &p)); err != nil {
		return nil, err
	}
	if err := o.apply(r, p); err != nil {
		C.ort_ReleaseSessionOptions(r.table, p)
		return nil, err
	}
	return p, nil
}

func (o Options) apply(r *Runtime, p unsafe.Pointer) error {
	level, ok := optLevels[o.Optimization]
	if !ok {
		return fmt.Errorf("unknown optimisation level %q: use none, basic, extended or the empty string for all", o.Optimization)
	}
	t := r.table
	steps := []func() unsafe.Pointer{
		func() unsafe.Pointer { return C.ort_SetSessionLogSeverityLevel(t, p, C.OrtLoggingLevelError) },
		func() unsafe.Pointer { return C.ort_SetSessionGraphOptimizationLevel(t, p, level) },
		func() unsafe.Pointer { return C.ort_SetIntraOpNumThreads(t, p, C.int(o.IntraThreads)) },
		func() unsafe.Pointer { return C.ort_SetInterOpNumThreads(t, p, C.int(o.InterThreads)) },
	}
	if o.MemPattern {
		steps = append(steps, func() unsafe.Pointer { return C.ort_EnableMemPattern(t, p) })
	} else {
		steps = append(steps, func() unsafe.Pointer { return C.ort_DisableMemPattern(t, p) })
	}
	if o.NoArena {
		steps = append(steps, func() unsafe.Pointer { return C.ort_DisableCpuMemArena(t, p) })
	}
	if o.Deterministic {
		steps = append(steps, func() unsafe.Pointer { return C.ort_SetDeterministicCompute(t, p, true) })
	}
	for _, step := range steps {
		if err := r.check(step()); err != nil {
			return err
		}
	}
	return o.applyStrings(r, p)
}

func (o Options) applyStrings(r *Runtime, p unsafe.Pointer) error {
	var a arena
	defer a.free()
	config := maps.Clone(o.Config)
	if config == nil {
		config = map[string]string{}
	}
	if o.SharedArena {
		config["session.use_env_allocators"] = "1"
	}
	if o.NoSpinning {
		config["session.intra_op.allow_spinning"] = "0"
		config["session.inter_op.allow_spinning"] = "0"
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if err := r.check(C.ort_AddSessionConfigEntry(r.table, p, a.str(key), a.str(config[key]))); err != nil {
			return fmt.Errorf("session config entry %s = %q: %w", key, config[key], err)
		}
	}
	for _, lib := range o.CustomOps {
		if err := r.check(C.ort_RegisterCustomOpsLibrary_V2(r.table, p, a.str(lib))); err != nil {
			return fmt.Errorf("register custom ops of %s: %w", lib, err)
		}
	}
	if o.SaveTo != "" {
		if err := r.check(C.ort_SetOptimizedModelFilePath(r.table, p, a.str(o.SaveTo))); err != nil {
			return fmt.Errorf("save the optimised graph to %s: %w", o.SaveTo, err)
		}
	}
	if o.CUDA != nil {
		if err := o.appendCUDA(r, p, &a); err != nil {
			return fmt.Errorf("use the CUDA provider of ONNX Runtime %s: %w", r.version, err)
		}
	}
	return nil
}

func (o Options) appendCUDA(r *Runtime, p unsafe.Pointer, a *arena) error {
	var cuda unsafe.Pointer
	if err := r.check(C.ort_CreateCUDAProviderOptions(r.table, &cuda)); err != nil {
		return err
	}
	defer C.ort_ReleaseCUDAProviderOptions(r.table, cuda)
	names := slices.Sorted(maps.Keys(o.CUDA))
	if n := len(names); n > 0 {
		keys, values := a.strs(n), a.strs(n)
		for i, k := range names {
			keys[i], values[i] = a.str(k), a.str(o.CUDA[k])
		}
		if err := r.check(C.ort_UpdateCUDAProviderOptions(r.table, cuda, &keys[0], &values[0], C.size_t(n))); err != nil {
			return err
		}
	}
	return r.check(C.ort_SessionOptionsAppendExecutionProvider_CUDA_V2(r.table, p, cuda))
}

// arena frees C strings together.
type arena struct{ ptrs []unsafe.Pointer }

func (a *arena) str(s string) *C.char {
	c := C.CString(s)
	a.ptrs = append(a.ptrs, unsafe.Pointer(c))
	return c
}

func (a *arena) strs(n int) []*C.char {
	p := C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(uintptr(0))))
	a.ptrs = append(a.ptrs, p)
	return unsafe.Slice((**C.char)(p), n)
}

func (a *arena) free() {
	for _, p := range a.ptrs {
		C.free(p)
	}
}
