package lower

import (
	"math"
	"slices"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/onnx"
)

func (l *lowerer) reshape(x string, shape ...int) string {
	return l.call("Reshape", x, l.constant(graph.Int64Tensor(onnx.Int64s(shape), len(shape))))
}

func (l *lowerer) transpose(x string, perm ...int) string {
	return l.op("Transpose", []string{x}, attr("perm", perm))
}

func (l *lowerer) concat(axis int, in ...string) string {
	if len(in) == 1 {
		return in[0]
	}
	return l.op("Concat", in, attr("axis", axis))
}

// slice takes [start, end) of each axis, with a step of each axis or none.
func (l *lowerer) slice(x string, axes, starts, ends, steps []int) string {
	in := []string{x, l.ints(starts...), l.ints(ends...), l.ints(axes...)}
	if steps != nil {
		in = append(in, l.ints(steps...))
	}
	return l.call("Slice", in...)
}

// pad adds zeros; before and after have one entry an axis and may be negative
// to crop.
func (l *lowerer) pad(x string, before, after []int) string {
	all := slices.Concat(before, after)
	if !slices.ContainsFunc(all, func(n int) bool { return n != 0 }) {
		return x
	}
	if l.provider != CPU && slices.Min(all) < 0 { // a negative pad is tested there only
		x = l.crops(x, before, after)
		before, after = atLeastZero(before), atLeastZero(after)
		return l.pad(x, before, after)
	}
	return l.call("Pad", x, l.ints(all...))
}

// crops cuts what negative pads take away.
func (l *lowerer) crops(x string, before, after []int) string {
	var axes, starts, ends []int
	for i := range before {
		if before[i] >= 0 && after[i] >= 0 {
			continue
		}
		end := math.MaxInt32
		if after[i] < 0 {
			end = after[i]
		}
		axes, starts, ends = append(axes, i), append(starts, max(-before[i], 0)), append(ends, end)
	}
	return l.slice(x, axes, starts, ends, nil)
}

func atLeastZero(v []int) []int {
	out := make([]int, len(v))
	for i, n := range v {
		out[i] = max(n, 0)
	}
	return out
}

// padImage pads the last two of four axes.
func (l *lowerer) padImage(x string, top, left, bottom, right int) string {
	return l.pad(x, []int{0, 0, top, left}, []int{0, 0, bottom, right})
}

func (l *lowerer) reduceSum(x string, keep bool, axes ...int) string {
	return l.op("ReduceSum", []string{x, l.ints(axes...)}, attr("keepdims", flag(keep)))
}

func (l *lowerer) reduceMean(x string, keep bool, axes ...int) string {
	return l.op("ReduceMean", []string{x, l.ints(axes...)}, attr("keepdims", flag(keep)))
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func lowerSource(l *lowerer, n graph.Node) {
	l.set(n, n.Name)
	l.types[n.Name] = l.g.DType(n.Out[0])
}

func lowerConst(l *lowerer, n graph.Node) {
	t, _ := n.Attr.(graph.Tensor)
	l.set(n, l.constant(t))
}

func lowerReshape(l *lowerer, n graph.Node) {
	l.set(n, l.reshape(l.in(n, 0), l.g.Shape(n.Out[0])...))
}

func lowerTranspose(l *lowerer, n graph.Node) {
	perm, _ := n.Attr.([]int)
	l.set(n, l.transpose(l.in(n, 0), perm...))
}

func lowerExpand(l *lowerer, n graph.Node) {
	l.set(n, l.call("Expand", l.in(n, 0), l.ints(l.g.Shape(n.Out[0])...)))
}

func lowerConcat(l *lowerer, n graph.Node) {
	axis, _ := n.Attr.(int)
	var in []string
	for i := range n.In {
		in = append(in, l.in(n, i))
	}
	l.set(n, l.concat(axis, in...))
}

func lowerSplit(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.SplitAttrs)
	dts := slices.Repeat([]graph.DType{l.g.DType(n.In[0])}, len(n.Out))
	out := l.emit(onnx.Standard, "Split", dts, []string{l.in(n, 0), l.ints(a.Sizes...)}, attr("axis", a.Axis))
	l.set(n, out...)
}

func lowerSlice(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.SliceAttrs)
	l.set(n, l.slice(l.in(n, 0), a.Axes, a.Starts, a.Ends, a.Steps))
}

func lowerPad(l *lowerer, n graph.Node) {
	a, _ := n.Attr.(graph.PadAttrs)
	if a.Value == 0 {
		l.set(n, l.pad(l.in(n, 0), a.Before, a.After))
		return
	}
	x := l.in(n, 0)
	l.set(n, l.call("Pad", x, l.ints(slices.Concat(a.Before, a.After)...), l.cast(l.scalar(a.Value), l.types[x])))
}

func lowerGather(l *lowerer, n graph.Node) {
	axis, _ := n.Attr.(int)
	l.set(n, l.op("Gather", []string{l.in(n, 0), l.in(n, 1)}, attr("axis", axis)))
}

func lowerOneHot(l *lowerer, n graph.Node) {
	classes, _ := n.Attr.(int)
	zeroOne := l.constant(graph.Float32Tensor([]float32{0, 1}))
	l.set(n, l.emit(onnx.Standard, "OneHot", []graph.DType{graph.Float32}, []string{l.in(n, 0), l.ints(classes), zeroOne})[0])
}
