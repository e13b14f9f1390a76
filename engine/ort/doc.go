// Package ort drives ONNX Runtime. It is the only package that touches it.
//
// The library is opened at run time with dlopen, so the binary starts and all
// that does not train works without it. [Find] says where it lies, [Fetch]
// obtains the pinned version through pip, [Open] loads it:
//
//	path, err := ort.Find()
//	rt, err := ort.Open(path)
//	s, err := rt.NewSession(modelBytes, ort.Options{IntraThreads: 2})
//	b, err := s.NewBinding()
//	err = b.Input("x", x)       // bound once
//	err = b.Output("y", y)
//	err = b.Run(ctx)            // as often as wanted; ctx stops it
//
// Tensors lie in C memory or on a device, never in Go memory, because ONNX
// Runtime keeps pointers to them between calls. Everything with a Close method
// owns C memory and must be closed; sessions after their bindings.
//
// Platforms: linux and darwin with cgo. API needed: ONNX Runtime 1.18 or newer.
package ort

// #cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2
// #cgo linux LDFLAGS: -ldl
import "C"
