// Package layout finds out which image layout ONNX Runtime uses on this
// machine. It stands apart from package lower, which needs no runtime.
package layout

import (
	"context"

	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/ort"
)

// Block returns the value of lower.Options.Block for the CPU provider of rt:
// the number of channels that it stores together, or 0 if it has no such layout.
func Block(ctx context.Context, rt *ort.Runtime) int {
	b, err := lower.DetectBlock(func(model []byte) ([]float32, error) { return run(ctx, rt, model) })
	if err != nil {
		return 0 // NCHW works everywhere
	}
	return b
}

func run(ctx context.Context, rt *ort.Runtime, model []byte) ([]float32, error) {
	s, err := rt.NewSession(model, ort.Options{IntraThreads: 1})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out, err := rt.NewTensor(ort.Float32, s.Outputs()[0].Shape...)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	b, err := s.NewBinding()
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := b.Output(s.Outputs()[0].Name, out); err != nil {
		return nil, err
	}
	if err := b.Run(ctx); err != nil {
		return nil, err
	}
	v, err := ort.View[float32](out)
	return append([]float32(nil), v...), err
}
