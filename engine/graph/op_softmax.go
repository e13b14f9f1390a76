package graph

func softmaxRule(in []Type, attr any) ([]Type, error) {
	axis, _ := attr.(int)
	if _, err := normAxis(axis, len(in[0].Shape)); err != nil {
		return nil, err
	}
	return sameFloat(in, nil)
}

func softmaxOp() Op {
	return Op{Name: "Softmax", Infer: softmaxRule,
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			y, axis := n.Out[0], n.Attr.(int)
			sum := g.ReduceSum(g.Mul(dy[0], y), true, axis)
			return []Value{g.Mul(y, g.Sub(dy[0], sum))}
		},
		Samples: []Sample{
			{Name: "last axis", In: []Spec{f32(Normal, 2, 3, 5)},
				Build: one(func(g *Graph, in []Value) Value { return g.Softmax(in[0], -1) })},
			{Name: "first axis", In: []Spec{f32(Normal, 4, 3)},
				Build: one(func(g *Graph, in []Value) Value { return g.Softmax(in[0], 0) })},
		},
	}
}

func logSoftmaxOp() Op {
	return Op{Name: "LogSoftmax", Infer: softmaxRule,
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			sum := g.ReduceSum(dy[0], true, n.Attr.(int))
			return []Value{g.Sub(dy[0], g.Mul(g.Exp(n.Out[0]), sum))}
		},
		Samples: []Sample{{Name: "logits", In: []Spec{f32(Normal, 4, 6)},
			Build: one(func(g *Graph, in []Value) Value { return g.LogSoftmax(in[0], -1) })}},
	}
}

// Softmax returns exp(x) / sum(exp(x)) along an axis.
func (g *Graph) Softmax(x Value, axis int) Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	return g.add1("Softmax", axis, x)
}

// LogSoftmax returns the logarithm of Softmax, computed without overflow.
func (g *Graph) LogSoftmax(x Value, axis int) Value {
	if axis < 0 {
		axis += g.Rank(x)
	}
	return g.add1("LogSoftmax", axis, x)
}
