package lower_test

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/ort"
)

func newTensor(rt *ort.Runtime, t graph.Type, v []float64) (*ort.Tensor, error) {
	switch t.DType {
	case graph.Float32:
		return ort.FromSlice(rt, ort.Float32, convert(v, func(x float64) float32 { return float32(x) }), t.Shape...)
	case graph.Int64:
		return ort.FromSlice(rt, ort.Int64, convert(v, func(x float64) int64 { return int64(x) }), t.Shape...)
	case graph.Uint8:
		return ort.FromSlice(rt, ort.Uint8, convert(v, func(x float64) uint8 { return uint8(x) }), t.Shape...)
	case graph.Bool:
		return ort.FromSlice(rt, ort.Bool, convert(v, func(x float64) bool { return x != 0 }), t.Shape...)
	}
	return nil, fmt.Errorf("no test tensor of type %v", t)
}

func values(t *ort.Tensor) ([]float64, error) {
	if v, err := ort.View[float32](t); err == nil {
		return convert(v, func(x float32) float64 { return float64(x) }), nil
	}
	if v, err := ort.View[int64](t); err == nil {
		return convert(v, func(x int64) float64 { return float64(x) }), nil
	}
	v, err := ort.View[bool](t)
	return convert(v, func(x bool) float64 {
		if x {
			return 1
		}
		return 0
	}), err
}

func convert[A, B any](v []A, f func(A) B) []B {
	out := make([]B, len(v))
	for i, x := range v {
		out[i] = f(x)
	}
	return out
}
