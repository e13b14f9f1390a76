package lower

import (
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

// DetectBlock finds the value of Options.Block for this machine: it depends on
// the instruction set and is 16 with AVX-512, 8 with AVX2. run executes an
// ONNX model that has no inputs on the CPU provider and returns its one output,
// float32 [1, 64, 1, 2]. Where the runtime has no blocked layout, run fails
// and DetectBlock returns 0 with that error.
func DetectBlock(run func(model []byte) ([]float32, error)) (int, error) {
	const channels, pixels = 64, 2
	data := make([]float32, channels*pixels)
	for i := range data {
		data[i] = float32(i)
	}
	l := newLowerer(graph.New("probe"), CPU, Options{})
	x := l.constant(graph.Float32Tensor(data, 1, channels, 1, pixels))
	l.node(onnx.Internal, "ReorderInput", []string{x}, []string{"y"})
	gp := &onnx.GraphProto{Name: &l.scope, Node: l.nodes, Initializer: l.inits,
		Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("y", onnx.TensorProto_FLOAT, []int{1, channels, 1, pixels})}}
	raw, err := onnx.Marshal(onnx.NewModel(gp, producer, map[string]int64{onnx.Standard: Opset, onnx.Internal: 1}))
	if err != nil {
		return 0, err
	}
	y, err := run(raw)
	if err != nil {
		return 0, fmt.Errorf("the runtime has no blocked image layout: %w", err)
	}
	// The second pixel of channel 0 follows the first pixels of one block.
	switch b := slices.Index(y, 1); b {
	case 8, 16, 32:
		return b, nil
	default:
		return 0, nil
	}
}
