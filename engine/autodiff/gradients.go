// Package autodiff adds the backward pass to a graph: one reverse sweep that
// turns nodes into more nodes of the same graph.
package autodiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/engine/graph"
)

// Gradients adds to g what computes the derivative of loss, a float scalar,
// with respect to each value of wrt, and returns those derivatives in the same
// order; each has the shape of its value. Nodes are added under the scope
// "grad/" + scope of the forward node.
//
// A value that the loss does not depend on is an error, because training it
// would silently do nothing; freeze it instead. A frozen parameter in wrt is
// an error too.
func Gradients(g *graph.Graph, loss graph.Value, wrt []graph.Value) ([]graph.Value, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if t := g.Type(loss); !t.DType.IsFloat() || t.Elems() != 1 {
		return nil, fmt.Errorf("graph %s: the loss must be a float scalar, it is %v", g.Name(), t)
	}
	s := sweep{g: g, nodes: slices.Clone(g.Nodes()), sums: map[graph.Value][]graph.Value{}}
	s.markNeeded(wrt)
	s.sums[loss] = []graph.Value{g.Expand(g.Cast(g.ConstF(1), g.DType(loss)), g.Shape(loss)...)}
	defer g.SetScope(g.SetScope("grad"))
	for i := len(s.nodes) - 1; i >= 0; i-- {
		if err := s.step(s.nodes[i]); err != nil {
			return nil, err
		}
	}
	return s.collect(wrt)
}

type sweep struct {
	g      *graph.Graph
	nodes  []graph.Node
	needed []bool // by Value: it depends on a value of wrt
	sums   map[graph.Value][]graph.Value
}

// markNeeded finds the values through which a gradient must flow.
func (s *sweep) markNeeded(wrt []graph.Value) {
	var last graph.Value
	for _, n := range s.nodes {
		last = max(last, slices.Max(n.Out))
	}
	s.needed = make([]bool, last+1)
	for _, v := range wrt {
		if v > graph.None && v <= last {
			s.needed[v] = true
		}
	}
	for _, n := range s.nodes {
		if slices.ContainsFunc(n.In, func(v graph.Value) bool { return s.needed[v] }) {
			for _, o := range n.Out {
				s.needed[o] = s.needed[o] || s.g.DType(o).IsFloat()
			}
		}
	}
}

// total adds up what arrived at v; None if nothing did.
func (s *sweep) total(v graph.Value) graph.Value {
	parts := s.sums[v]
	if len(parts) == 0 {
		return graph.None
	}
	sum := parts[0]
	for _, p := range parts[1:] {
		sum = s.g.Add(sum, p)
	}
	s.sums[v] = []graph.Value{sum}
	return sum
}

// step passes the gradient of a node's results on to its inputs.
func (s *sweep) step(n graph.Node) error {
	need := make([]bool, len(n.In))
	for i, v := range n.In {
		need[i] = s.needed[v]
	}
	if !slices.Contains(need, true) {
		return nil
	}
	s.g.SetScope(strings.TrimSuffix("grad/"+n.Scope, "/"))
	dy := make([]graph.Value, len(n.Out))
	reached := false
	for i, v := range n.Out {
		dy[i] = s.total(v)
		reached = reached || dy[i] != graph.None
	}
	if !reached {
		return nil
	}
	rule := graph.Lookup(n.Op).Gradient
	if rule == nil {
		return nil // such as Sign: constant almost everywhere
	}
	dx := rule(s.g, n, dy, need)
	if err := s.g.Err(); err != nil {
		return fmt.Errorf("gradient of %s in %q: %w", n.Op, n.Scope, err)
	}
	if len(dx) < len(n.In) {
		return fmt.Errorf("gradient of %s in %q: got %d values for %d inputs", n.Op, n.Scope, len(dx), len(n.In))
	}
	for i, v := range n.In {
		if !need[i] || dx[i] == graph.None {
			continue
		}
		if got, want := s.g.Type(dx[i]), s.g.Type(v); got.String() != want.String() {
			return fmt.Errorf("gradient of %s in %q: input %d is %v, its gradient %v", n.Op, n.Scope, i, want, got)
		}
		s.sums[v] = append(s.sums[v], dx[i])
	}
	return nil
}

func (s *sweep) collect(wrt []graph.Value) ([]graph.Value, error) {
	var out []graph.Value
	var missing []string
	for _, v := range wrt {
		name := s.g.SourceName(v)
		if name == "" {
			name = fmt.Sprintf("value %d", v)
		}
		if s.g.Frozen(v) {
			return nil, fmt.Errorf("graph %s: %s is frozen, so it has no gradient", s.g.Name(), name)
		}
		d := s.total(v)
		if d == graph.None {
			missing = append(missing, name)
		}
		out = append(out, d)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("graph %s: the loss does not depend on %s; use them or freeze them", s.g.Name(), strings.Join(missing, ", "))
	}
	return out, s.g.Err()
}
