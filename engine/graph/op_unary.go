package graph

// unary is an element-wise function; grad gets x, y = f(x) and dy.
func unary(name string, fill Fill, grad func(g *Graph, x, y, dy Value) Value) Op {
	op := Op{Name: name, Infer: sameFloat, Samples: []Sample{{
		Name: "matrix", In: []Spec{f32(fill, 3, 5)},
		Build: func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0]) },
	}, {
		Name: "image", In: []Spec{f32(fill, 2, 16, 4, 4)},
		Build: func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0]) },
	}}}
	if grad != nil {
		op.Gradient = func(g *Graph, n Node, dy []Value, _ []bool) []Value {
			return []Value{grad(g, n.In[0], n.Out[0], dy[0])}
		}
	}
	return op
}

func negOp() Op {
	return unary("Neg", Normal, func(g *Graph, _, _, dy Value) Value { return g.Neg(dy) })
}

func absOp() Op {
	return unary("Abs", Distinct, func(g *Graph, x, _, dy Value) Value { return g.Mul(dy, g.Sign(x)) })
}

func signOp() Op { return unary("Sign", Distinct, nil) }

func sqrtOp() Op {
	return unary("Sqrt", Positive, func(g *Graph, _, y, dy Value) Value {
		return g.Div(g.Scale(dy, 0.5), y)
	})
}

func expOp() Op {
	return unary("Exp", Normal, func(g *Graph, _, y, dy Value) Value { return g.Mul(dy, y) })
}

func logOp() Op {
	return unary("Log", Positive, func(g *Graph, x, _, dy Value) Value { return g.Div(dy, x) })
}

// Neg returns -x.
func (g *Graph) Neg(x Value) Value { return g.add1("Neg", nil, x) }

// Abs returns |x|; its gradient at 0 is 0.
func (g *Graph) Abs(x Value) Value { return g.add1("Abs", nil, x) }

// Sign returns -1, 0 or 1; no gradient flows through it.
func (g *Graph) Sign(x Value) Value { return g.add1("Sign", nil, x) }

// Sqrt returns the square root of x.
func (g *Graph) Sqrt(x Value) Value { return g.add1("Sqrt", nil, x) }

// Exp returns e to the power x.
func (g *Graph) Exp(x Value) Value { return g.add1("Exp", nil, x) }

// Log returns the natural logarithm of x.
func (g *Graph) Log(x Value) Value { return g.add1("Log", nil, x) }

// Scale returns c*x for a constant c.
func (g *Graph) Scale(x Value, c float32) Value { return g.Mul(x, g.ConstF(c)) }

// Square returns x*x.
func (g *Graph) Square(x Value) Value { return g.Mul(x, x) }
