package lower

import "github.com/trainwright/trainwright/engine/graph"

// kernelKind says what computes in reduced precision.
type kernelKind int

const (
	matrix kernelKind = iota
	convolution
)

// fast returns v in the precision that kernels of the given kind use. The cast
// is made once per value.
func (l *lowerer) fast(v graph.Value, kind kernelKind) string {
	to := graph.Float32
	switch l.o.Precision {
	case Float16:
		to = graph.Float16
	case BFloat16:
		if kind == matrix {
			to = graph.BFloat16
		}
	}
	if to == graph.Float32 || l.g.DType(v) != graph.Float32 {
		return l.plain(v)
	}
	if _, ok := l.halfs[v]; !ok {
		l.halfs[v] = l.cast(l.plain(v), to)
	}
	return l.halfs[v]
}

// setFast records a result that may be in reduced precision; it is widened
// where it is used in its own type.
func (l *lowerer) setFast(n graph.Node, name string) {
	if l.types[name] == l.g.DType(n.Out[0]) {
		l.set(n, name)
		return
	}
	l.halfs[n.Out[0]] = name
}
