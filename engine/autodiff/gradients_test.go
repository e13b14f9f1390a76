package autodiff_test

import (
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
)

func TestShapesOfGradients(t *testing.T) {
	g := graph.New("g")
	x := g.Input("x", graph.Float32, 2, 3)
	w, b := g.Param("w", 4, 3), g.Param("b", 4)
	h := g.Relu(g.Linear(x, w, b))
	loss := g.Mean(g.Add(h, g.Mul(h, h)))
	grads, err := autodiff.Gradients(g, loss, []graph.Value{b, w})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range []graph.Value{b, w} {
		if got, want := g.Type(grads[i]).String(), g.Type(v).String(); got != want {
			t.Errorf("gradient %d is %s, wanted %s", i, got, want)
		}
	}
	if g.SourceName(x) != "x" {
		t.Error("the graph lost its input")
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, want string
		build      func(g *graph.Graph) (loss graph.Value, wrt []graph.Value)
	}{
		{"unreached parameters are named", "does not depend on a, b", func(g *graph.Graph) (graph.Value, []graph.Value) {
			a, b, c := g.Param("a", 2), g.Param("b", 2), g.Param("c", 2)
			return g.Mean(c), []graph.Value{a, b, c}
		}},
		{"no gradient through a comparison", "does not depend on a", func(g *graph.Graph) (graph.Value, []graph.Value) {
			a := g.Param("a", 2)
			return g.Mean(g.Cast(g.Greater(a, g.ConstF(0)), graph.Float32)), []graph.Value{a}
		}},
		{"frozen parameter", "a is frozen", func(g *graph.Graph) (graph.Value, []graph.Value) {
			a := g.Param("a", 2)
			g.Freeze(a)
			return g.Mean(a), []graph.Value{a}
		}},
		{"loss is not a scalar", "must be a float scalar, it is float32[2]", func(g *graph.Graph) (graph.Value, []graph.Value) {
			a := g.Param("a", 2)
			return a, []graph.Value{a}
		}},
		{"batch statistics", `gradient of BatchNorm in "bn1"`, func(g *graph.Graph) (graph.Value, []graph.Value) {
			a := g.Param("a", 2)
			g.SetScope("bn1")
			_, mean, _ := g.BatchNorm(g.Input("x", graph.Float32, 4, 2), a, a, 1e-5)
			return g.Mean(mean), []graph.Value{a}
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			g := graph.New("g")
			loss, wrt := tc.build(g)
			if _, err := autodiff.Gradients(g, loss, wrt); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, wanted one with %q", err, tc.want)
			}
		})
	}
}
