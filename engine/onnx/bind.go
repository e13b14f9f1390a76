package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
)

// Bind turns inputs of the model into constants: each tensor takes the place
// of the graph input of its name. That makes a model deployable: only the
// images remain to be fed. A tensor without an input, or of another type or
// shape than its input, is an error.
func (m *ModelProto) Bind(tensors ...*TensorProto) error {
	g := m.GetGraph()
	for _, t := range tensors {
		i := slices.IndexFunc(g.Input, func(v *ValueInfoProto) bool { return v.GetName() == t.GetName() })
		if i < 0 {
			return fmt.Errorf("bind %s: the model has no such input", t.GetName())
		}
		want := NewValueInfo(t.GetName(), TensorProto_DataType(t.GetDataType()), nil).GetType()
		want.GetTensorType().Shape = g.Input[i].GetType().GetTensorType().GetShape()
		dims := make([]int64, len(want.GetTensorType().GetShape().GetDim()))
		for k, d := range want.GetTensorType().GetShape().GetDim() {
			dims[k] = d.GetDimValue()
		}
		if !proto.Equal(want, g.Input[i].GetType()) || !slices.Equal(dims, t.GetDims()) {
			return fmt.Errorf("bind %s: the tensor is %s %v, the input %s", t.GetName(),
				TensorProto_DataType(t.GetDataType()), t.GetDims(), g.Input[i].GetType().GetTensorType())
		}
		g.Input = slices.Delete(g.Input, i, i+1)
		g.Initializer = append(g.Initializer, t)
	}
	return nil
}
