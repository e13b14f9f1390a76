package graph

import (
	"encoding/binary"
	"math"
)

// Tensor is a constant: a type and its elements as little-endian bytes in
// row-major order.
type Tensor struct {
	Type
	Raw []byte
}

// Float32Tensor returns a tensor of the given elements. With no shape it is a
// vector of len(data).
func Float32Tensor(data []float32, shape ...int) Tensor {
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return Tensor{Type{Float32, defaultShape(shape, len(data))}, raw}
}

// Int64Tensor returns a tensor of the given elements. With no shape it is a
// vector of len(data).
func Int64Tensor(data []int64, shape ...int) Tensor {
	raw := make([]byte, 0, 8*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return Tensor{Type{Int64, defaultShape(shape, len(data))}, raw}
}

// ScalarTensor returns a float32 tensor of shape [].
func ScalarTensor(v float32) Tensor {
	t := Float32Tensor([]float32{v})
	t.Shape = []int{}
	return t
}

func defaultShape(shape []int, n int) []int {
	if len(shape) == 0 {
		return []int{n}
	}
	return append([]int(nil), shape...)
}
