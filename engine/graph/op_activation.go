package graph

func reluOp() Op {
	return unary("Relu", Distinct, func(g *Graph, _, y, dy Value) Value { return g.add1("ReluGrad", nil, y, dy) })
}

// reluGradOp is ReluGrad(y, dy) = dy where y > 0, else 0, for y = Relu(x).
func reluGradOp() Op {
	return Op{Name: "ReluGrad", Infer: sameFloat,
		Gradient: func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{None, g.add1("ReluGrad", nil, n.In[0], dy[0])}
		},
		Samples: []Sample{{Name: "image", In: []Spec{f32(Distinct, 2, 16, 4, 4), f32(Normal, 2, 16, 4, 4)},
			Build: func(g *Graph, in []Value) []Value { return g.add("ReluGrad", nil, g.Relu(in[0]), in[1]) }}},
	}
}

func sigmoidOp() Op {
	return unary("Sigmoid", Normal, func(g *Graph, _, y, dy Value) Value {
		return g.Mul(dy, g.Mul(y, g.Sub(g.ConstF(1), y)))
	})
}

func tanhOp() Op {
	return unary("Tanh", Normal, func(g *Graph, _, y, dy Value) Value {
		return g.Mul(dy, g.Sub(g.ConstF(1), g.Square(y)))
	})
}

func geluOp() Op {
	return unary("Gelu", Normal, func(g *Graph, x, _, dy Value) Value { return g.add1("GeluGrad", nil, x, dy) })
}

// geluGradOp is GeluGrad(x, dy) = dy * (Phi(x) + x*phi(x)), with the normal
// distribution's Phi and phi.
func geluGradOp() Op {
	return Op{Name: "GeluGrad", Infer: sameFloat,
		Samples: []Sample{{Name: "matrix", In: []Spec{f32(Normal, 4, 6), f32(Normal, 4, 6)},
			Build: func(g *Graph, in []Value) []Value { return g.add("GeluGrad", nil, in[0], in[1]) }}},
	}
}

func hardSigmoidOp() Op {
	return unary("HardSigmoid", Distinct, func(g *Graph, x, _, dy Value) Value {
		return g.Mul(dy, g.Scale(g.within3(x), 1./6))
	})
}

func hardSwishOp() Op {
	return unary("HardSwish", Distinct, func(g *Graph, x, _, dy Value) Value {
		slope := g.Mul(g.Scale(x, 1./6), g.within3(x))
		return g.Mul(dy, g.Add(g.HardSigmoid(x), slope))
	})
}

// within3 is 1 where |x| < 3, else 0.
func (g *Graph) within3(x Value) Value { return g.Cast(g.Less(g.Abs(x), g.ConstF(3)), g.DType(x)) }

// Relu returns max(x, 0).
func (g *Graph) Relu(x Value) Value { return g.add1("Relu", nil, x) }

// Sigmoid returns 1 / (1 + exp(-x)).
func (g *Graph) Sigmoid(x Value) Value { return g.add1("Sigmoid", nil, x) }

// Tanh returns the hyperbolic tangent of x.
func (g *Graph) Tanh(x Value) Value { return g.add1("Tanh", nil, x) }

// Gelu returns x * Phi(x) with the exact normal distribution function (erf),
// as torch.nn.GELU does by default.
func (g *Graph) Gelu(x Value) Value { return g.add1("Gelu", nil, x) }

// HardSigmoid returns clip(x/6 + 1/2, 0, 1), as in MobileNetV3.
func (g *Graph) HardSigmoid(x Value) Value { return g.add1("HardSigmoid", nil, x) }

// HardSwish returns x * HardSigmoid(x), as in MobileNetV3.
func (g *Graph) HardSwish(x Value) Value { return g.add1("HardSwish", nil, x) }
