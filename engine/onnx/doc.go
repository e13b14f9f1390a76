// Package onnx reads and writes ONNX models: the file format as Go types, and
// small helpers to build nodes and tensors.
//
// onnx.pb.go is generated from onnx.proto of the PyPI wheel onnx 1.23.2, by
// protoc 35.1 (PyPI grpcio-tools 1.85.1) and protoc-gen-go v1.36.12:
//
//	protoc --go_out=. --go_opt=paths=source_relative \
//	    --go_opt=Monnx.proto=github.com/trainwright/trainwright/engine/onnx onnx.proto
//
// onnx.proto is Copyright (c) ONNX Project Contributors, licensed under the
// Apache License, Version 2.0, the licence of this repository.
package onnx
