package ort

import "fmt"

// DType is a tensor's element type; the numbers are ONNX's TensorProto.DataType.
type DType int

const (
	Float32  DType = 1
	Uint8    DType = 2
	Int8     DType = 3
	Uint16   DType = 4
	Int16    DType = 5
	Int32    DType = 6
	Int64    DType = 7
	Bool     DType = 9
	Float16  DType = 10
	Float64  DType = 11
	Uint32   DType = 12
	Uint64   DType = 13
	BFloat16 DType = 16
)

var dtypes = map[DType]struct {
	name string
	size int
}{
	Float32: {"float32", 4}, Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Int32: {"int32", 4}, Int64: {"int64", 8}, Bool: {"bool", 1}, Float16: {"float16", 2}, Float64: {"float64", 8},
	Uint32: {"uint32", 4}, Uint64: {"uint64", 8}, BFloat16: {"bfloat16", 2},
}

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int { return dtypes[d].size }

func (d DType) String() string {
	if t, ok := dtypes[d]; ok {
		return t.name
	}
	return fmt.Sprintf("type %d", int(d))
}

// Element is a Go type that views tensors. Float16 and BFloat16 are viewed as uint16.
type Element interface {
	float32 | float64 | uint8 | int8 | uint16 | int16 | int32 | int64 | uint32 | uint64 | bool
}

// fits reports whether elements of type T view tensors of type d.
func fits[T Element](d DType) bool {
	var zero T
	switch any(zero).(type) {
	case float32:
		return d == Float32
	case float64:
		return d == Float64
	case uint8:
		return d == Uint8
	case int8:
		return d == Int8
	case uint16:
		return d == Uint16 || d == Float16 || d == BFloat16
	case int16:
		return d == Int16
	case int32:
		return d == Int32
	case int64:
		return d == Int64
	case uint32:
		return d == Uint32
	case uint64:
		return d == Uint64
	case bool:
		return d == Bool
	}
	return false
}
