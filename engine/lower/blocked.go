package lower

import (
	"maps"
	"slices"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

// The CPU provider convolves faster when the channels of an image are stored
// in blocks, [n, c/block, h, w, block]. It moves to that layout by itself only
// if weights are constants, which in training they are not; this rewrite emits
// the same internal ops (domain com.microsoft.nchwc) directly. A value may
// exist in both layouts; each is made when it is first asked for. To the
// runtime a blocked image keeps the shape [n, c, h, w].

// blockedRules wraps the entries of a table that can work on blocks.
func blockedRules(plain map[string]rule) map[string]rule {
	rules := maps.Clone(plain)
	for _, op := range []string{
		"Neg", "Abs", "Sign", "Sqrt", "Exp", "Log", "Relu", "ReluGrad", "Sigmoid", "Tanh", "Gelu", "GeluGrad", "HardSigmoid", "HardSwish",
		"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Greater", "Less", "Equal", "And", "Or", "Not", "Where", "Cast",
	} {
		rules[op] = blockedElementwise(plain[op])
	}
	for op, try := range map[string]func(*lowerer, graph.Node) bool{
		"Conv": blockedConv, "ConvGradInput": blockedConvGradInput,
		"BatchNorm": blockedBatchNorm, "BatchNormGrad": blockedBatchNormGrad, "BatchNormInference": blockedBatchNormInference,
		"MaxPool":   blockedMaxPool,
		"ReduceSum": blockedReduce("ReduceSum"), "ReduceMean": blockedReduce("ReduceMean"),
		"GlobalAvgPool": blockedGlobalAvgPool, "Expand": blockedExpand,
	} {
		rules[op] = func(l *lowerer, n graph.Node) {
			if !try(l, n) {
				plain[op](l, n)
			}
		}
	}
	return rules
}

// blockable reports whether v is an image whose channels fill whole blocks.
func (l *lowerer) blockable(v graph.Value) bool {
	s := l.g.Type(v).Shape
	return len(s) == 4 && s[1]%l.o.Block == 0 && s[2]*s[3] > 1
}

func (l *lowerer) isBlocked(v graph.Value) bool { return l.blocks[v] != "" }

// block returns v in blocks.
func (l *lowerer) block(v graph.Value) string {
	if name := l.blocks[v]; name != "" {
		return name
	}
	l.blocks[v] = l.internal("ReorderInput", []string{l.plain(v)})
	return l.blocks[v]
}

// unblock returns the NCHW form of a blocked value. Only float32 can be
// reordered; a mask goes through it.
func (l *lowerer) unblock(v graph.Value) string {
	x := l.cast(l.blocks[v], graph.Float32)
	x = l.internal("ReorderOutput", []string{x}, attr("channels", l.g.Dim(v, 1)))
	return l.cast(x, l.g.DType(v))
}

func (l *lowerer) internal(op string, in []string, attrs ...onnx.Attr) string {
	return l.emit(onnx.Internal, op, []graph.DType{graph.Float32}, in, attrs...)[0]
}

// view shows a blocked image as [n, c/block, h*w, block], which costs nothing.
func (l *lowerer) view(name string, shape []int) string {
	b := l.o.Block
	return l.reshape(name, shape[0], shape[1]/b, shape[2]*shape[3], b)
}

// operand says how an element-wise op on images takes an input.
type operand int

const (
	unfit      operand = iota
	single             // one element
	full               // the image itself
	perChannel         // [n, c, 1, 1] or [1, c, 1, 1]
)

func (l *lowerer) operand(v graph.Value, out []int) operand {
	s := l.g.Type(v).Shape
	switch {
	case elems(s) == 1:
		return single
	case slices.Equal(s, out) && (l.isBlocked(v) || l.g.DType(v) == graph.Float32):
		return full
	case len(s) == 4 && s[1] == out[1] && s[2] == 1 && s[3] == 1 && (s[0] == 1 || s[0] == out[0]):
		return perChannel
	}
	return unfit
}

// blockedElementwise runs a rule on blocked inputs if one of them is blocked
// already and none stands against it. The rule must treat all elements alike
// and reach its inputs through in, its results through set.
func blockedElementwise(inner rule) rule {
	return func(l *lowerer, n graph.Node) {
		if _, done := l.blocks[n.Out[0]]; done {
			return // part of a fused op
		}
		out := l.g.Shape(n.Out[0])
		any, channels := false, false
		for _, v := range n.In {
			k := l.operand(v, out)
			if !l.blockable(n.Out[0]) || k == unfit {
				inner(l, n)
				return
			}
			any = any || (k == full && l.isBlocked(v))
			channels = channels || k == perChannel
		}
		if !any {
			inner(l, n)
			return
		}
		inputs := map[graph.Value]string{}
		for _, v := range n.In {
			switch k := l.operand(v, out); {
			case k == single:
				inputs[v] = l.plain(v)
			case k == perChannel:
				s := l.g.Shape(v)
				inputs[v] = l.reshape(l.plain(v), s[0], s[1]/l.o.Block, 1, l.o.Block)
			case channels:
				inputs[v] = l.view(l.block(v), out)
			default:
				inputs[v] = l.block(v)
			}
		}
		l.override = inputs
		inner(l, n)
		l.override = nil
		y := l.names[n.Out[0]]
		delete(l.names, n.Out[0])
		if channels {
			y = l.reshape(y, out...)
		}
		l.blocks[n.Out[0]] = y
	}
}

// channelReduce reduces a blocked image over its pixels, and over the batch
// too if all is set, to the given shape.
func (l *lowerer) channelReduce(op, name string, shape []int, all bool, out ...int) string {
	y := l.op(op, []string{l.view(name, shape), l.ints(2)}, attr("keepdims", int64(0)))
	if all {
		y = l.op(op, []string{y, l.ints(0)}, attr("keepdims", int64(0)))
	}
	return l.reshape(y, out...)
}

func blockedReduce(op string) func(*lowerer, graph.Node) bool {
	return func(l *lowerer, n graph.Node) bool {
		a, _ := n.Attr.(graph.ReduceAttrs)
		all := slices.Equal(a.Axes, []int{0, 2, 3})
		if !l.isBlocked(n.In[0]) || (!all && !slices.Equal(a.Axes, []int{2, 3})) {
			return false
		}
		l.set(n, l.channelReduce(op, l.block(n.In[0]), l.g.Shape(n.In[0]), all, l.g.Shape(n.Out[0])...))
		return true
	}
}

func blockedGlobalAvgPool(l *lowerer, n graph.Node) bool {
	if !l.isBlocked(n.In[0]) {
		return false
	}
	l.set(n, l.channelReduce("ReduceMean", l.block(n.In[0]), l.g.Shape(n.In[0]), false, l.g.Shape(n.Out[0])...))
	return true
}

// blockedExpand stretches [n, c, 1, 1] over the pixels.
func blockedExpand(l *lowerer, n graph.Node) bool {
	out := l.g.Shape(n.Out[0])
	if !l.blockable(n.Out[0]) || l.g.DType(n.In[0]) != graph.Float32 || l.operand(n.In[0], out) != perChannel {
		return false
	}
	s, b := l.g.Shape(n.In[0]), l.o.Block
	x := l.reshape(l.plain(n.In[0]), s[0], s[1]/b, 1, b)
	x = l.call("Expand", x, l.ints(out[0], out[1]/b, out[2]*out[3], b))
	l.blocks[n.Out[0]] = l.reshape(x, out...)
	return true
}
