package lower

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
	"google.golang.org/protobuf/proto"
)

// Provider is an execution provider of ONNX Runtime.
type Provider string

// The providers that there are tables for.
const (
	CPU  Provider = "cpu"
	CUDA Provider = "cuda"
)

// Opset is the version of the standard operators that models use.
const Opset = 18

// OutPrefix precedes the name of a parameter or state in the name of the
// output that holds its next value.
const OutPrefix = "out/"

// Precision is the arithmetic of convolutions and matrix products; everything
// else stays in float32, as do parameters and their gradients.
type Precision string

// The precisions. ReducedPrecision says which provider has which.
const (
	Float32  Precision = "float32"
	Float16  Precision = "float16"
	BFloat16 Precision = "bfloat16" // matrix products only: opset 18 has no bfloat16 convolution
)

// Options change a lowering.
type Options struct {
	// Precision defaults to Float32. Another one is refused by a provider
	// without it (see ReducedPrecision).
	Precision Precision

	// StandardOps uses no operator beyond ONNX's own, for models that are
	// deployed to other runtimes. Without Block.
	StandardOps bool

	// Block is the number of channels that the CPU provider of this machine
	// stores together in its own image layout (see DetectBlock). With it, images
	// whose channels fill blocks are kept so, which is faster but ties the
	// model to machines like this one. 0 keeps to NCHW.
	Block int
}

// ReducedPrecision reports whether the provider computes faster in p than in
// float32, so that asking for p makes sense there.
func ReducedPrecision(provider Provider, p Precision) bool {
	return provider == CUDA && (p == Float16 || p == BFloat16)
}

// Model lowers g for a provider. It fails on a graph that has an error, on an
// unknown provider, and on a precision that the provider lacks.
func Model(g *graph.Graph, provider Provider, o Options) (*onnx.ModelProto, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	rules, err := rulesFor(provider, o)
	if err != nil {
		return nil, fmt.Errorf("lower graph %s: %w", g.Name(), err)
	}
	l := newLowerer(g, provider, o)
	for _, i := range l.live() {
		n := g.Nodes()[i]
		rule := rules[n.Op]
		if rule == nil {
			return nil, fmt.Errorf("lower graph %s: the %s provider has no lowering of %s in %q", g.Name(), provider, n.Op, n.Scope)
		}
		l.scope = n.Scope
		rule(l, n)
		if l.err != nil {
			return nil, fmt.Errorf("lower graph %s: %s in %q: %w", g.Name(), n.Op, n.Scope, l.err)
		}
	}
	return l.model(), nil
}

func rulesFor(provider Provider, o Options) (map[string]rule, error) {
	if o.Precision != "" && o.Precision != Float32 && !ReducedPrecision(provider, o.Precision) {
		return nil, fmt.Errorf("the %s provider does not have precision %q", provider, o.Precision)
	}
	switch provider {
	case CPU:
		return cpuRules(o), nil
	case CUDA:
		return cudaRules(), nil
	}
	return nil, fmt.Errorf("unknown provider %q", provider)
}

// live returns the indices of the nodes that an output or next value needs.
func (l *lowerer) live() []int {
	nodes := l.g.Nodes()
	keep := make([]bool, len(nodes))
	mark := func(v graph.Value) {
		if i := l.g.Producer(v); i >= 0 {
			keep[i] = true
		}
	}
	for _, list := range [][]graph.Named{l.g.Inputs(), l.g.Params(), l.g.States(), l.g.Outputs(), l.g.Assigns()} {
		for _, o := range list {
			mark(o.Value)
		}
	}
	for _, list := range [][]graph.Named{l.g.Outputs(), l.g.Assigns()} {
		for _, o := range list {
			l.leaves[o.Value] = true
		}
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if !keep[i] {
			continue
		}
		for _, v := range nodes[i].In {
			mark(v)
		}
	}
	var out []int
	for i, n := range nodes {
		if !keep[i] {
			continue
		}
		out = append(out, i)
		for _, v := range n.In {
			l.users[v] = append(l.users[v], i)
		}
	}
	return out
}

// model wraps up what was emitted.
func (l *lowerer) model() *onnx.ModelProto {
	gp := &onnx.GraphProto{Name: proto.String(l.g.Name()), Initializer: l.inits}
	for _, list := range [][]graph.Named{l.g.Inputs(), l.g.Params(), l.g.States()} {
		for _, v := range list {
			t := l.g.Type(v.Value)
			gp.Input = append(gp.Input, onnx.NewValueInfo(v.Name, elemTypes[t.DType], t.Shape))
		}
	}
	l.scope = "outputs"
	rename := map[string]string{}
	output := func(name string, v graph.Value) {
		t := l.g.Type(v)
		gp.Output = append(gp.Output, onnx.NewValueInfo(name, elemTypes[t.DType], t.Shape))
		from := l.plain(v)
		if _, done := rename[from]; done || !l.made[from] {
			l.node(onnx.Standard, "Identity", []string{from}, []string{name})
			return
		}
		rename[from] = name
	}
	for _, o := range l.g.Outputs() {
		output(o.Name, o.Value)
	}
	for _, a := range l.g.Assigns() {
		output(OutPrefix+a.Name, a.Value)
	}
	for _, n := range l.nodes {
		for _, list := range [][]string{n.Input, n.Output} {
			for i, name := range list {
				if to, ok := rename[name]; ok {
					list[i] = to
				}
			}
		}
		for _, name := range n.Output {
			if dt, ok := l.types[name]; ok && name != "" {
				gp.ValueInfo = append(gp.ValueInfo, typeOnly(name, dt))
			}
		}
	}
	gp.Node = l.nodes
	opsets := map[string]int64{onnx.Standard: Opset}
	for _, n := range l.nodes {
		if d := n.GetDomain(); d != onnx.Standard {
			opsets[d] = 1
		}
	}
	return onnx.NewModel(gp, producer, opsets)
}

// producer is the producer_name of the models.
const producer = "trainwright"
