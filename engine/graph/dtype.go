package graph

import (
	"fmt"
	"strings"
)

// DType is the element type of a tensor.
type DType uint8

// The element types that graphs use. Float16 and BFloat16 appear only where a
// caller casts to them or where a lowering rewrites for mixed precision.
const (
	InvalidDType DType = iota
	Float32
	Float16
	BFloat16
	Int64
	Int32
	Uint8
	Bool
)

var dtypeNames = [...]string{"invalid", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"}

var dtypeSizes = [...]int{0, 4, 2, 2, 8, 4, 1, 1}

// String returns the lower-case name, as in "float32".
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Size returns the size of one element in bytes, 0 for an invalid type.
func (d DType) Size() int {
	if int(d) < len(dtypeSizes) {
		return dtypeSizes[d]
	}
	return 0
}

// IsFloat reports whether d is a floating-point type, which gradients need.
func (d DType) IsFloat() bool { return d == Float32 || d == Float16 || d == BFloat16 }

// Type is what is known of a value: its element type and its static shape.
// A scalar has an empty shape.
type Type struct {
	DType DType
	Shape []int
}

// Elems returns the number of elements, 1 for a scalar.
func (t Type) Elems() int { return elems(t.Shape) }

// String returns the type as in "float32[32 3 224 224]".
func (t Type) String() string {
	return t.DType.String() + shapeString(t.Shape)
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func shapeString(shape []int) string {
	return "[" + strings.Trim(fmt.Sprint(shape), "[]") + "]"
}
