package lower

import (
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
	"google.golang.org/protobuf/proto"
)

// rule lowers one node of the graph.
type rule func(l *lowerer, n graph.Node)

// lowerer collects the ONNX nodes of one model. Its methods return the names
// of ONNX values; the first error sticks.
type lowerer struct {
	g        *graph.Graph
	provider Provider
	o        Options
	scope    string

	nodes    []*onnx.NodeProto
	inits    []*onnx.TensorProto
	types    map[string]graph.DType
	made     map[string]bool     // names that a node produces
	seen     map[string][]string // op, inputs and attributes -> outputs
	names    map[graph.Value]string
	halfs    map[graph.Value]string // the value in o.Precision
	users    map[graph.Value][]int  // indices of the live nodes that use a value
	leaves   map[graph.Value]bool   // it is an output or a next value
	blocks   map[graph.Value]string // the value in blocks of channels (blocked.go)
	override map[graph.Value]string // what in returns while a rule runs on blocks
	count    int
	err      error
}

func newLowerer(g *graph.Graph, provider Provider, o Options) *lowerer {
	return &lowerer{g: g, provider: provider, o: o, types: map[string]graph.DType{}, made: map[string]bool{}, seen: map[string][]string{},
		names: map[graph.Value]string{}, halfs: map[graph.Value]string{}, users: map[graph.Value][]int{},
		leaves: map[graph.Value]bool{}, blocks: map[graph.Value]string{}}
}

var elemTypes = map[graph.DType]onnx.TensorProto_DataType{
	graph.Float32:  onnx.TensorProto_FLOAT,
	graph.Float16:  onnx.TensorProto_FLOAT16,
	graph.BFloat16: onnx.TensorProto_BFLOAT16,
	graph.Int64:    onnx.TensorProto_INT64,
	graph.Int32:    onnx.TensorProto_INT32,
	graph.Uint8:    onnx.TensorProto_UINT8,
	graph.Bool:     onnx.TensorProto_BOOL,
}

func typeOnly(name string, dt graph.DType) *onnx.ValueInfoProto {
	v := onnx.NewValueInfo(name, elemTypes[dt], nil)
	v.GetType().GetTensorType().Shape = nil
	return v
}

// plain returns the name of v in its own type and, for an image, in NCHW.
func (l *lowerer) plain(v graph.Value) string {
	if v == graph.None {
		return ""
	}
	if name, ok := l.names[v]; ok {
		return name
	}
	if l.blocks[v] != "" {
		l.names[v] = l.unblock(v)
		return l.names[v]
	}
	if half, ok := l.halfs[v]; ok {
		l.names[v] = l.cast(half, l.g.DType(v))
		return l.names[v]
	}
	l.fail("value %d is used before it is made", v)
	return ""
}

// in returns input i of the node that is being lowered.
func (l *lowerer) in(n graph.Node, i int) string {
	if name, ok := l.override[n.In[i]]; ok {
		return name
	}
	return l.plain(n.In[i])
}

func (l *lowerer) set(n graph.Node, names ...string) {
	for i, name := range names {
		l.names[n.Out[i]] = name
	}
}

func (l *lowerer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

func attr(name string, value any) onnx.Attr {
	switch v := value.(type) {
	case int:
		value = int64(v)
	case []int:
		value = onnx.Int64s(v)
	}
	return onnx.Attr{Name: name, Value: value}
}

// node appends a node with the given output names.
func (l *lowerer) node(domain, op string, in, out []string, attrs ...onnx.Attr) {
	n, err := onnx.NewNode(domain, op, in, out, attrs...)
	if err != nil {
		l.fail("%w", err)
		return
	}
	l.count++
	n.Name = proto.String(fmt.Sprintf("%s/%s_%d", l.scope, op, l.count))
	for _, name := range out {
		l.made[name] = true
	}
	l.nodes = append(l.nodes, n)
}

// emit appends a node unless the same one exists, and returns its outputs,
// whose element types are given; InvalidDType leaves an output out.
func (l *lowerer) emit(domain, op string, dts []graph.DType, in []string, attrs ...onnx.Attr) []string {
	var key strings.Builder
	fmt.Fprintf(&key, "%s.%s %d %q", domain, op, len(dts), in)
	for _, a := range attrs {
		fmt.Fprintf(&key, " %s=%v", a.Name, a.Value)
	}
	if out, ok := l.seen[key.String()]; ok {
		return out
	}
	out := make([]string, len(dts))
	for i, dt := range dts {
		if dt == graph.InvalidDType {
			continue
		}
		out[i] = fmt.Sprintf("%s_%d_%d", op, l.count+1, i)
		l.types[out[i]] = dt
	}
	l.node(domain, op, in, out, attrs...)
	l.seen[key.String()] = out
	return out
}

// op emits a standard op with one output of the element type of its first input.
func (l *lowerer) op(op string, in []string, attrs ...onnx.Attr) string {
	return l.emit(onnx.Standard, op, []graph.DType{l.types[in[0]]}, in, attrs...)[0]
}

// ms emits a com.microsoft op.
func (l *lowerer) ms(op string, in []string, attrs ...onnx.Attr) string {
	return l.emit(onnx.Microsoft, op, []graph.DType{l.types[in[0]]}, in, attrs...)[0]
}

// call is op without attributes.
func (l *lowerer) call(op string, in ...string) string { return l.op(op, in) }

// predicate emits an op whose result is bool.
func (l *lowerer) predicate(op string, in ...string) string {
	return l.emit(onnx.Standard, op, []graph.DType{graph.Bool}, in)[0]
}

func (l *lowerer) cast(x string, to graph.DType) string {
	if l.types[x] == to {
		return x
	}
	return l.emit(onnx.Standard, "Cast", []graph.DType{to}, []string{x}, attr("to", int64(elemTypes[to])))[0]
}

// constant adds an initializer unless an equal one exists.
func (l *lowerer) constant(t graph.Tensor) string {
	key := t.Type.String() + string(t.Raw)
	if out, ok := l.seen[key]; ok {
		return out[0]
	}
	name := fmt.Sprintf("const_%d", len(l.inits))
	l.inits = append(l.inits, onnx.NewTensor(name, elemTypes[t.DType], t.Shape, t.Raw))
	l.types[name] = t.DType
	l.seen[key] = []string{name}
	return name
}

func (l *lowerer) scalar(v float32) string { return l.constant(graph.ScalarTensor(v)) }

// ints adds an int64 vector, such as a shape.
func (l *lowerer) ints(v ...int) string { return l.constant(graph.Int64Tensor(onnx.Int64s(v), len(v))) }

// fill adds a float32 vector of n equal elements.
func (l *lowerer) fill(v float32, n int) string {
	data := make([]float32, n)
	for i := range data {
		data[i] = v
	}
	return l.constant(graph.Float32Tensor(data))
}
