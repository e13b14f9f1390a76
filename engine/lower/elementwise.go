package lower

import (
	"math"

	"github.com/trainwright/trainwright/engine/graph"
)

// same lowers to the standard op of another or the same name.
func same(op string) rule {
	return func(l *lowerer, n graph.Node) {
		in := make([]string, len(n.In))
		for i := range n.In {
			in[i] = l.in(n, i)
		}
		l.set(n, l.call(op, in...))
	}
}

func predicate(op string) rule {
	return func(l *lowerer, n graph.Node) {
		var in []string
		for i := range n.In {
			in = append(in, l.in(n, i))
		}
		l.set(n, l.predicate(op, in...))
	}
}

func lowerWhere(l *lowerer, n graph.Node) {
	a := l.in(n, 1)
	l.set(n, l.emit("", "Where", []graph.DType{l.types[a]}, []string{l.in(n, 0), a, l.in(n, 2)})[0])
}

func lowerCast(l *lowerer, n graph.Node) {
	to, _ := n.Attr.(graph.DType)
	l.set(n, l.cast(l.in(n, 0), to))
}

// mask is 1 where the bool is true, in the element type of like.
func (l *lowerer) mask(b, like string) string { return l.cast(b, l.types[like]) }

// lowerReluGrad multiplies by a mask, which is several times faster on the CPU
// provider than Where with a scalar.
func lowerReluGrad(l *lowerer, n graph.Node) {
	y, dy := l.in(n, 0), l.in(n, 1)
	l.set(n, l.call("Mul", dy, l.mask(l.predicate("Greater", y, l.cast(l.scalar(0), l.types[y])), dy)))
}

func lowerGelu(l *lowerer, n graph.Node) {
	x := l.in(n, 0)
	if !l.o.StandardOps {
		l.set(n, l.ms("Gelu", []string{x}))
		return
	}
	c := func(v float64) string { return l.cast(l.scalar(float32(v)), l.types[x]) }
	erf := l.call("Erf", l.call("Div", x, c(math.Sqrt2)))
	l.set(n, l.call("Mul", l.call("Mul", x, l.call("Add", erf, c(1))), c(0.5)))
}

func lowerGeluGrad(l *lowerer, n graph.Node) {
	x, dy := l.in(n, 0), l.in(n, 1)
	c := func(v float64) string { return l.cast(l.scalar(float32(v)), l.types[x]) }
	erf := l.call("Erf", l.call("Mul", x, c(math.Sqrt2/2)))
	cdf := l.call("Mul", l.call("Add", erf, c(1)), c(0.5))
	bell := l.call("Exp", l.call("Mul", l.call("Mul", x, x), c(-0.5)))
	pdf := l.call("Mul", l.call("Mul", x, bell), c(1/math.Sqrt(2*math.Pi)))
	l.set(n, l.call("Mul", dy, l.call("Add", cdf, pdf)))
}

func (l *lowerer) hardSigmoid(x string) string {
	return l.op("HardSigmoid", []string{x}, attr("alpha", float32(1./6)), attr("beta", float32(0.5)))
}

func lowerHardSigmoid(l *lowerer, n graph.Node) { l.set(n, l.hardSigmoid(l.in(n, 0))) }

// lowerHardSwish shares HardSigmoid(x) with the gradient.
func lowerHardSwish(l *lowerer, n graph.Node) {
	x := l.in(n, 0)
	l.set(n, l.call("Mul", x, l.hardSigmoid(x)))
}

func softmax(op string) rule {
	return func(l *lowerer, n graph.Node) {
		axis, _ := n.Attr.(int)
		l.set(n, l.op(op, []string{l.in(n, 0)}, attr("axis", axis)))
	}
}

func reduce(op string) rule {
	return func(l *lowerer, n graph.Node) {
		a, _ := n.Attr.(graph.ReduceAttrs)
		if len(a.Axes) == 0 { // of a scalar
			l.set(n, l.in(n, 0))
			return
		}
		l.set(n, l.op(op, []string{l.in(n, 0), l.ints(a.Axes...)}, attr("keepdims", flag(a.Keep))))
	}
}

func lowerArgMax(l *lowerer, n graph.Node) {
	axis, _ := n.Attr.(int)
	l.set(n, l.emit("", "ArgMax", []graph.DType{graph.Int64}, []string{l.in(n, 0)}, attr("axis", axis), attr("keepdims", int64(0)))[0])
}
