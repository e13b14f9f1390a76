package graph

import (
	"errors"
	"fmt"
	"slices"
)

var errNotFloat = errors.New("the inputs must be floating-point")

// sameFloat is the type rule of element-wise float functions.
func sameFloat(in []Type, _ any) ([]Type, error) {
	for _, t := range in {
		if !t.DType.IsFloat() {
			return nil, errNotFloat
		}
		if t.DType != in[0].DType || !slices.Equal(t.Shape, in[0].Shape) {
			return nil, fmt.Errorf("the inputs must have one type")
		}
	}
	return []Type{in[0]}, nil
}

// broadcast returns the shape of an element-wise result by the rules that
// ONNX, NumPy and PyTorch share: shapes are aligned at their last axis, and an
// axis of size 1 stretches.
func broadcast(a, b []int) ([]int, error) {
	n := max(len(a), len(b))
	out := make([]int, n)
	for i := 1; i <= n; i++ {
		da, db := 1, 1
		if i <= len(a) {
			da = a[len(a)-i]
		}
		if i <= len(b) {
			db = b[len(b)-i]
		}
		if da != db && da != 1 && db != 1 {
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
		out[n-i] = max(da, db)
	}
	return out, nil
}

// broadcastRule is the type rule of arithmetic on two tensors of one element type.
func broadcastRule(in []Type, _ any) ([]Type, error) {
	if in[0].DType != in[1].DType {
		return nil, fmt.Errorf("element types %v and %v differ; cast one of them", in[0].DType, in[1].DType)
	}
	if in[0].DType == Bool {
		return nil, errors.New("arithmetic on bool; cast first")
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return []Type{{in[0].DType, s}}, err
}

// compareRule is broadcastRule with a bool result.
func compareRule(in []Type, _ any) ([]Type, error) {
	out, err := broadcastRule(in, nil)
	if err != nil {
		return nil, err
	}
	out[0].DType = Bool
	return out, nil
}

// logicRule is the type rule of And and Or.
func logicRule(in []Type, _ any) ([]Type, error) {
	for _, t := range in {
		if t.DType != Bool {
			return nil, errors.New("the inputs must be bool")
		}
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return []Type{{Bool, s}}, err
}

// unbroadcast sums the gradient d, which has the shape of a broadcast result,
// down to the given shape.
func unbroadcast(g *Graph, d Value, shape []int) Value {
	from := g.Type(d).Shape
	if slices.Equal(from, shape) {
		return d
	}
	lead := len(from) - len(shape)
	var axes []int
	for i, n := range from {
		if i < lead || (shape[i-lead] == 1 && n != 1) {
			axes = append(axes, i)
		}
	}
	if len(axes) > 0 {
		d = g.ReduceSum(d, true, axes...)
	}
	return g.Reshape(d, shape...)
}

// normAxis resolves a negative axis.
func normAxis(axis, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		return 0, fmt.Errorf("axis %d is outside rank %d", axis, rank)
	}
	return a, nil
}
