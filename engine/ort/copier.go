package ort

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Copier copies tensors between host and device. It runs a graph of one
// Identity node, because bound runs are the one way to copy that every release
// and provider of ONNX Runtime has.
type Copier struct {
	rt       *Runtime
	options  Options
	sessions map[DType]*Session
}

// NewCopier makes a copier for sessions with these options; their CUDA part decides the device.
func (r *Runtime) NewCopier(o Options) *Copier {
	return &Copier{rt: r, options: Options{IntraThreads: 1, CUDA: o.CUDA}, sessions: map[DType]*Session{}}
}

// Copy writes src's elements into dst, which has the same type and shape.
func (c *Copier) Copy(ctx context.Context, dst, src *Tensor) error {
	if dst.dtype != src.dtype || fmt.Sprint(dst.shape) != fmt.Sprint(src.shape) {
		return fmt.Errorf("copy: %s %v does not fit into %s %v", src.dtype, src.shape, dst.dtype, dst.shape)
	}
	if dst.host && src.host {
		copy(dst.Bytes(), src.Bytes())
		return nil
	}
	s, err := c.session(src.dtype)
	if err != nil {
		return err
	}
	b, err := s.NewBinding()
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Input("x", src); err != nil {
		return err
	}
	if err := b.Output("y", dst); err != nil {
		return err
	}
	if err := b.Run(ctx); err != nil {
		return fmt.Errorf("copy between host and device: %w", err)
	}
	return nil
}

// Probe reports whether the copier's device can be used at all.
func (c *Copier) Probe() error {
	_, err := c.session(Float32)
	return err
}

func (c *Copier) session(dtype DType) (*Session, error) {
	if s := c.sessions[dtype]; s != nil {
		return s, nil
	}
	s, err := c.rt.NewSession(identityModel(dtype), c.options)
	if err != nil {
		return nil, fmt.Errorf("copy between host and device: %w", err)
	}
	c.sessions[dtype] = s
	return s, nil
}

// Close releases the copier's sessions.
func (c *Copier) Close() {
	for _, s := range c.sessions {
		s.Close()
	}
	c.sessions = map[DType]*Session{}
}

// identityModel is an ONNX model of one node, y = Identity(x), of any shape.
func identityModel(dtype DType) []byte {
	return nodeModel("Identity", dtype, []string{"x"}, []string{"y"})
}

// nodeModel encodes an ONNX ModelProto of one standard operator (opset 17).
// Field numbers are those of onnx.proto.
func nodeModel(op string, dtype DType, inputs, outputs []string) []byte {
	var node, graph []byte
	for _, in := range inputs {
		node = field(node, 1, []byte(in)) // NodeProto.input
		graph = field(graph, 11, valueInfo(in, dtype))
	}
	for _, out := range outputs {
		node = field(node, 2, []byte(out)) // NodeProto.output
		graph = field(graph, 12, valueInfo(out, dtype))
	}
	node = field(node, 4, []byte(op))          // NodeProto.op_type
	graph = field(graph, 1, node)              // GraphProto.node
	graph = field(graph, 2, []byte("copy"))    // GraphProto.name
	model := varint(nil, 1, 8)                 // ModelProto.ir_version
	model = field(model, 7, graph)             // ModelProto.graph
	return field(model, 8, varint(nil, 2, 17)) // ModelProto.opset_import.version
}

// valueInfo encodes a ValueInfoProto: name = 1, type = 2 { tensor_type = 1 { elem_type = 1 } }.
func valueInfo(name string, dtype DType) []byte {
	tensor := field(nil, 1, varint(nil, 1, uint64(dtype)))
	return field(field(nil, 1, []byte(name)), 2, tensor)
}

func field(b []byte, number int, content []byte) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(content)))
	return append(b, content...)
}

func varint(b []byte, number int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(number)<<3), v)
}
