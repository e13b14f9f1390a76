package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
)

// Attr is an attribute of a node: an int64, float32, string, []int64 or
// *TensorProto under its name.
type Attr struct {
	Name  string
	Value any
}

// NewNode returns a node of op in domain.
func NewNode(domain, op string, in, out []string, attrs ...Attr) (*NodeProto, error) {
	n := &NodeProto{OpType: proto.String(op), Input: slices.Clone(in), Output: slices.Clone(out)}
	if domain != Standard {
		n.Domain = proto.String(domain)
	}
	for _, a := range attrs {
		p := &AttributeProto{Name: proto.String(a.Name)}
		switch v := a.Value.(type) {
		case int64:
			p.Type, p.I = AttributeProto_INT.Enum(), proto.Int64(v)
		case float32:
			p.Type, p.F = AttributeProto_FLOAT.Enum(), proto.Float32(v)
		case string:
			p.Type, p.S = AttributeProto_STRING.Enum(), []byte(v)
		case []int64:
			p.Type, p.Ints = AttributeProto_INTS.Enum(), slices.Clone(v)
		case *TensorProto:
			p.Type, p.T = AttributeProto_TENSOR.Enum(), v
		default:
			return nil, fmt.Errorf("ONNX node %s: attribute %s has the unsupported Go type %T", op, a.Name, a.Value)
		}
		n.Attribute = append(n.Attribute, p)
	}
	return n, nil
}

// NewTensor returns a tensor of the given element type whose elements are raw,
// little-endian and row-major.
func NewTensor(name string, dt TensorProto_DataType, shape []int, raw []byte) *TensorProto {
	return &TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(dt)), Dims: Int64s(shape), RawData: raw}
}

// NewValueInfo describes an input or output of a graph by type and static shape.
func NewValueInfo(name string, dt TensorProto_DataType, shape []int) *ValueInfoProto {
	s := &TensorShapeProto{}
	for _, d := range shape {
		s.Dim = append(s.Dim, &TensorShapeProto_Dimension{
			Value: &TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &ValueInfoProto{Name: proto.String(name), Type: &TypeProto{Value: &TypeProto_TensorType{
		TensorType: &TypeProto_Tensor{ElemType: proto.Int32(int32(dt)), Shape: s}}}}
}

// Int64s converts sizes to the integers that ONNX stores.
func Int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}
