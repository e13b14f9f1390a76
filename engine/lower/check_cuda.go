package lower

import (
	"errors"
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/engine/onnx"
)

var typeLetters = map[onnx.TensorProto_DataType]string{
	onnx.TensorProto_FLOAT: "f", onnx.TensorProto_FLOAT16: "h", onnx.TensorProto_BFLOAT16: "b",
	onnx.TensorProto_INT64: "l", onnx.TensorProto_INT32: "i", onnx.TensorProto_UINT8: "u", onnx.TensorProto_BOOL: "o",
}

// CheckCUDA reports every node of a model made by this package for which the
// CUDA provider has no kernel and which would therefore run on the CPU: one
// error each, joined. It needs no GPU and no library.
func CheckCUDA(m *onnx.ModelProto) error {
	if v := m.Opset(onnx.Standard); v != Opset {
		return fmt.Errorf("the list of CUDA kernels is for opset %d, the model has opset %d", Opset, v)
	}
	kernels := map[string]kernel{}
	for _, k := range cudaKernels() {
		kernels[k.domain+"."+k.op] = k
	}
	types := elementTypes(m.GetGraph())
	var errs []error
	for _, n := range m.GetGraph().GetNode() {
		k, ok := kernels[n.GetDomain()+"."+n.GetOpType()]
		if !ok {
			errs = append(errs, fmt.Errorf("node %s: the CUDA provider has no kernel for %s", n.GetName(), strings.TrimPrefix(n.GetDomain()+"."+n.GetOpType(), ".")))
			continue
		}
		errs = append(errs, k.check(n, types))
	}
	return errors.Join(errs...)
}

func elementTypes(g *onnx.GraphProto) map[string]onnx.TensorProto_DataType {
	types := map[string]onnx.TensorProto_DataType{}
	for _, list := range [][]*onnx.ValueInfoProto{g.GetInput(), g.GetOutput(), g.GetValueInfo()} {
		for _, v := range list {
			types[v.GetName()] = onnx.TensorProto_DataType(v.GetType().GetTensorType().GetElemType())
		}
	}
	for _, t := range g.GetInitializer() {
		types[t.GetName()] = onnx.TensorProto_DataType(t.GetDataType())
	}
	return types
}

func (k kernel) check(n *onnx.NodeProto, types map[string]onnx.TensorProto_DataType) error {
	if k.op == "BatchNormalization" && attribute(n, "training_mode") != 0 {
		return fmt.Errorf("node %s: the CUDA provider has no training mode of BatchNormalization", n.GetName())
	}
	for i, name := range n.GetInput() {
		allowed := k.types[min(i, len(k.types)-1)]
		if name == "" || strings.Contains(allowed, "c") {
			continue
		}
		dt, ok := types[name]
		if !ok {
			return fmt.Errorf("node %s: the model does not say the type of its input %s", n.GetName(), name)
		}
		if !strings.Contains(allowed, typeLetters[dt]) || typeLetters[dt] == "" {
			return fmt.Errorf("node %s: the CUDA provider has no kernel for %s with input %d of type %s", n.GetName(), k.op, i, dt)
		}
	}
	return nil
}

func attribute(n *onnx.NodeProto, name string) int64 {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a.GetI()
		}
	}
	return 0
}
