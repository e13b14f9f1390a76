package ort

// #include "api.h"
import "C"

import (
	"slices"
	"strings"
	"unsafe"
)

// Error is a failure that ONNX Runtime reported.
type Error struct {
	Code    int // OrtErrorCode
	Message string
}

func (e *Error) Error() string { return e.Message }

// OutOfMemory reports that host or device memory ran out.
func (e *Error) OutOfMemory() bool {
	m := strings.ToLower(e.Message)
	return slices.ContainsFunc(exhausted, func(s string) bool { return strings.Contains(m, s) })
}

// exhausted are what the arenas, CUDA, cuBLAS and cuDNN say when memory ran out.
var exhausted = []string{
	"failed to allocate", "smaller than requested bytes", "out of memory", "bad_alloc", "bad allocation",
	"cublas_status_alloc_failed", "cudnn_status_alloc_failed", "cudaerrormemoryallocation",
}

// check turns a status into an error and releases it.
func (r *Runtime) check(status unsafe.Pointer) error {
	if status == nil {
		return nil
	}
	var code C.int
	var message *C.char
	C.ort_status(r.table, status, &code, &message)
	err := &Error{Code: int(code), Message: C.GoString(message)}
	C.ort_ReleaseStatus(r.table, status)
	return err
}
