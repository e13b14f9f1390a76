package ort

// #include "api.h"
import "C"

import (
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
	return strings.Contains(m, "failed to allocate") || strings.Contains(m, "out of memory") || strings.Contains(m, "bad_alloc")
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
