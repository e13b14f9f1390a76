package graph_test

import (
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
)

func TestSamplesBuild(t *testing.T) {
	for _, op := range graph.Ops() {
		for _, s := range op.Samples {
			g := graph.New(op.Name)
			var in []graph.Value
			for i, spec := range s.In {
				in = append(in, g.Input(string(rune('a'+i)), spec.DType, spec.Shape...))
			}
			s.Build(g, in)
			if err := g.Err(); err != nil {
				t.Errorf("%s: %s: %v", op.Name, s.Name, err)
			}
			found := false
			for _, n := range g.Nodes() {
				found = found || n.Op == op.Name
			}
			if !found {
				t.Errorf("%s: sample %q does not contain the op", op.Name, s.Name)
			}
		}
	}
}

func TestTypeErrors(t *testing.T) {
	const f, i = graph.Float32, graph.Int64
	tests := []struct {
		name, want string
		build      func(g *graph.Graph) graph.Value
	}{
		{"element types differ", "float32 and int64 differ", func(g *graph.Graph) graph.Value {
			return g.Add(g.Input("a", f, 2), g.Input("b", i, 2))
		}},
		{"no broadcast", "do not broadcast", func(g *graph.Graph) graph.Value {
			return g.Mul(g.Input("a", f, 2, 3), g.Input("b", f, 2))
		}},
		{"channels", "3 channels do not fit", func(g *graph.Graph) graph.Value {
			return g.Conv(g.Input("x", f, 1, 3, 8, 8), g.Param("w", 4, 2, 3, 3), graph.ConvAttrs{})
		}},
		{"kernel too large", "larger than the padded image", func(g *graph.Graph) graph.Value {
			return g.Conv(g.Input("x", f, 1, 3, 4, 4), g.Param("w", 4, 3, 7, 7), graph.ConvAttrs{Pad: 1})
		}},
		{"inner sizes", "inner sizes 3 and 4 differ", func(g *graph.Graph) graph.Value {
			return g.MatMul(g.Input("a", f, 2, 3), g.Input("b", f, 4, 5), false, false)
		}},
		{"linear", "do not agree", func(g *graph.Graph) graph.Value {
			return g.Linear(g.Input("x", f, 2, 3), g.Param("w", 5, 4), graph.None)
		}},
		{"reshape", "6 elements do not fit", func(g *graph.Graph) graph.Value {
			return g.Reshape(g.Input("x", f, 2, 3), 4)
		}},
		{"transpose", "not a permutation", func(g *graph.Graph) graph.Value {
			return g.Transpose(g.Input("x", f, 2, 3), 0, 0)
		}},
		{"slice", "outside axis 1 of size 3", func(g *graph.Graph) graph.Value {
			return g.Slice(g.Input("x", f, 2, 3), 1, 1, 4)
		}},
		{"split", "no 2 equal parts", func(g *graph.Graph) graph.Value {
			return g.Split(g.Input("x", f, 2, 3), 1, 2)[0]
		}},
		{"concat", "differ outside axis 0", func(g *graph.Graph) graph.Value {
			return g.Concat(0, g.Input("a", f, 2, 3), g.Input("b", f, 2, 4))
		}},
		{"axis", "axis 2 is outside rank 2", func(g *graph.Graph) graph.Value {
			return g.Softmax(g.Input("x", f, 2, 3), 2)
		}},
		{"batch norm", "vectors of 3 channels", func(g *graph.Graph) graph.Value {
			w := g.Param("w", 4)
			y, _, _ := g.BatchNorm(g.Input("x", f, 2, 3, 4, 4), w, w, 1e-5)
			return y
		}},
		{"integers", "must be floating-point", func(g *graph.Graph) graph.Value {
			return g.Relu(g.Input("x", i, 2))
		}},
		{"missing input", "input 1 is missing", func(g *graph.Graph) graph.Value {
			return g.Add(g.Input("x", f, 2), graph.None)
		}},
		{"taken name", `"x": the name is empty or taken`, func(g *graph.Graph) graph.Value {
			g.Input("x", f, 2)
			return g.Param("x", 2)
		}},
		{"no such axis", "has no axis 2", func(g *graph.Graph) graph.Value {
			return g.Input("y", f, g.Dim(g.Input("x", f, 2, 3), 2))
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			g := graph.New("g")
			g.SetScope("layer")
			v := tc.build(g)
			if err := g.Err(); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "in layer") {
				t.Fatalf("got error %v, wanted one with %q and the scope", err, tc.want)
			}
			if v != graph.None {
				t.Errorf("got value %d after the error", v)
			}
			first := g.Err()
			g.Relu(v)
			g.Split(v, 0, 2)
			g.Output("y", v)
			if g.Err() != first {
				t.Errorf("the first error did not stick: %v", g.Err())
			}
		})
	}
}

func TestAssign(t *testing.T) {
	g := graph.New("g")
	s := g.State("count", graph.Float32)
	g.Assign(s, g.Add(s, g.ConstF(1)))
	if err := g.Err(); err != nil || len(g.Assigns()) != 1 {
		t.Fatal(err, g.Assigns())
	}
	g.Assign(s, s)
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "assigned twice") {
		t.Errorf("got %v", err)
	}
	g = graph.New("g")
	g.Assign(g.State("s", graph.Float32, 2), g.ConstF(1))
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), `"s" is float32[2], its next value float32[]`) {
		t.Errorf("got %v", err)
	}
}
