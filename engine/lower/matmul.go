package lower

import "github.com/trainwright/trainwright/engine/graph"

// gemm multiplies matrices, each transposed first if asked.
func (l *lowerer) gemm(a, b string, transA, transB bool) string {
	return l.op("Gemm", []string{a, b}, attr("transA", flag(transA)), attr("transB", flag(transB)))
}

// batchMatMul multiplies stacks of matrices.
func (l *lowerer) batchMatMul(a, b string, transA, transB bool) string {
	if !transA && !transB {
		return l.call("MatMul", a, b)
	}
	return l.ms("FusedMatMul", []string{a, b}, attr("transA", flag(transA)), attr("transB", flag(transB)))
}

func lowerMatMul(l *lowerer, n graph.Node) {
	at, _ := n.Attr.(graph.MatMulAttrs)
	a, b := l.fast(n.In[0], matrix), l.fast(n.In[1], matrix)
	if l.g.Rank(n.In[0]) == 2 && l.g.Rank(n.In[1]) == 2 {
		l.setFast(n, l.gemm(a, b, at.TransA, at.TransB))
		return
	}
	if l.o.StandardOps {
		a = l.transposeIf(at.TransA, a, l.g.Rank(n.In[0]))
		b = l.transposeIf(at.TransB, b, l.g.Rank(n.In[1]))
		at = graph.MatMulAttrs{}
	}
	l.setFast(n, l.batchMatMul(a, b, at.TransA, at.TransB))
}

// transposeIf swaps the last two axes of x if asked.
func (l *lowerer) transposeIf(asked bool, x string, rank int) string {
	if !asked {
		return x
	}
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	perm[rank-1], perm[rank-2] = rank-2, rank-1
	return l.transpose(x, perm...)
}

func lowerLinear(l *lowerer, n graph.Node) {
	x, w := l.fast(n.In[0], matrix), l.fast(n.In[1], matrix)
	rank := l.g.Rank(n.In[0])
	if rank > 2 {
		x = l.reshape(x, -1, l.g.Dim(n.In[1], 1))
	}
	in := []string{x, w}
	if n.In[2] != graph.None {
		in = append(in, l.fast(n.In[2], matrix))
	}
	y := l.op("Gemm", in, attr("transB", int64(1)))
	if rank > 2 {
		y = l.reshape(y, l.g.Shape(n.Out[0])...)
	}
	l.setFast(n, y)
}
