package graph

// arithmetic is broadcasting arithmetic; grad returns the gradients of a and b in
// the shape of the result.
func arithmetic(name string, fill Fill, grad func(g *Graph, a, b, y, dy Value, need []bool) (da, db Value)) Op {
	build := func(g *Graph, in []Value) []Value { return g.add(name, nil, in[0], in[1]) }
	return Op{Name: name, Infer: broadcastRule,
		Gradient: func(g *Graph, n Node, dy []Value, need []bool) []Value {
			a, b := n.In[0], n.In[1]
			da, db := grad(g, a, b, n.Out[0], dy[0], need)
			out := []Value{None, None}
			if need[0] {
				out[0] = unbroadcast(g, da, g.Shape(a))
			}
			if need[1] {
				out[1] = unbroadcast(g, db, g.Shape(b))
			}
			return out
		},
		Samples: []Sample{
			{Name: "same shape", In: []Spec{f32(fill, 2, 16, 3, 3), f32(fill, 2, 16, 3, 3)}, Build: build},
			{Name: "scalar", In: []Spec{f32(fill, 3, 4), f32(fill)}, Build: build},
			{Name: "per channel", In: []Spec{f32(fill, 1, 16, 1, 1), f32(fill, 2, 16, 3, 3)}, Build: build},
			{Name: "shorter", In: []Spec{f32(fill, 2, 3, 4), f32(fill, 4)}, Build: build},
		},
	}
}

func addOp() Op {
	return arithmetic("Add", Normal, func(_ *Graph, _, _, _, dy Value, _ []bool) (Value, Value) { return dy, dy })
}

func subOp() Op {
	return arithmetic("Sub", Normal, func(g *Graph, _, _, _, dy Value, need []bool) (Value, Value) {
		if !need[1] {
			return dy, None
		}
		return dy, g.Neg(dy)
	})
}

func mulOp() Op {
	return arithmetic("Mul", Normal, func(g *Graph, a, b, _, dy Value, need []bool) (da, db Value) {
		if need[0] {
			da = g.Mul(dy, b)
		}
		if need[1] {
			db = g.Mul(dy, a)
		}
		return da, db
	})
}

func divOp() Op {
	return arithmetic("Div", Positive, func(g *Graph, _, b, y, dy Value, need []bool) (da, db Value) {
		da = g.Div(dy, b)
		if need[1] {
			db = g.Neg(g.Mul(da, y))
		}
		return da, db
	})
}

func powOp() Op {
	return arithmetic("Pow", Positive, func(g *Graph, a, b, y, dy Value, need []bool) (da, db Value) {
		if need[0] {
			da = g.Mul(dy, g.Mul(b, g.Pow(a, g.Sub(b, g.ConstF(1)))))
		}
		if need[1] {
			db = g.Mul(dy, g.Mul(y, g.Log(a)))
		}
		return da, db
	})
}

func maxOp() Op { return extremum("Max", (*Graph).Less) }

func minOp() Op { return extremum("Min", (*Graph).Greater) }

// extremum is Max or Min; the gradient goes to b where loses(a, b), else to a.
func extremum(name string, loses func(*Graph, Value, Value) Value) Op {
	return arithmetic(name, Distinct, func(g *Graph, a, b, _, dy Value, _ []bool) (da, db Value) {
		toB := g.Mul(dy, g.Cast(loses(g, a, b), g.DType(dy)))
		return g.Sub(dy, toB), toB
	})
}

// Add returns a + b, broadcast.
func (g *Graph) Add(a, b Value) Value { return g.add1("Add", nil, a, b) }

// Sub returns a - b, broadcast.
func (g *Graph) Sub(a, b Value) Value { return g.add1("Sub", nil, a, b) }

// Mul returns a * b, broadcast.
func (g *Graph) Mul(a, b Value) Value { return g.add1("Mul", nil, a, b) }

// Div returns a / b, broadcast.
func (g *Graph) Div(a, b Value) Value { return g.add1("Div", nil, a, b) }

// Pow returns a to the power b, broadcast; a must be positive where b is trained.
func (g *Graph) Pow(a, b Value) Value { return g.add1("Pow", nil, a, b) }

// Max returns the larger of a and b, broadcast.
func (g *Graph) Max(a, b Value) Value { return g.add1("Max", nil, a, b) }

// Min returns the smaller of a and b, broadcast.
func (g *Graph) Min(a, b Value) Value { return g.add1("Min", nil, a, b) }

// Clip returns x limited to [lo, hi].
func (g *Graph) Clip(x Value, lo, hi float32) Value {
	return g.Min(g.Max(x, g.ConstF(lo)), g.ConstF(hi))
}
