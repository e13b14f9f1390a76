package hclspec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// sortNodes orders nodes so that each follows what it refers to, in source
// order otherwise, and reports circles with their path.
func (m *module) sortNodes() []*node {
	all := make([]*node, 0, len(m.nodes))
	for _, n := range m.nodes {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.at.Filename, b.at.Filename), cmp.Compare(a.at.Start.Byte, b.at.Start.Byte))
	})
	s := sorter{m: m, state: map[*node]int{}}
	for _, n := range all {
		if s.state[n] == 0 {
			s.visit(n)
		}
	}
	return s.out
}

type sorter struct {
	m     *module
	state map[*node]int // 0 new, 1 on the path, 2 done
	path  []*node
	out   []*node
}

func (s *sorter) visit(n *node) {
	s.state[n] = 1
	s.path = append(s.path, n)
	for _, r := range n.refs {
		dep := s.m.nodes[r.node]
		if dep == nil {
			continue
		}
		switch s.state[dep] {
		case 0:
			s.visit(dep)
		case 1:
			s.circle(dep, r)
		}
		n.circular = n.circular || dep.circular
	}
	s.path = s.path[:len(s.path)-1]
	s.state[n] = 2
	s.out = append(s.out, n)
}

func (s *sorter) circle(start *node, r reference) {
	from := slices.Index(s.path, start)
	var names []string
	for _, n := range s.path[from:] {
		n.circular = true
		names = append(names, n.address)
	}
	if len(names) > 10 {
		names = append(append(names[:5:5], fmt.Sprintf("… (%d more)", len(names)-9)), names[len(names)-4:]...)
	}
	names = append(names, start.address)
	s.m.add(failure(r.traversal.SourceRange(), "Circular reference", "%s: each needs the one before. Remove one of these references.", strings.Join(names, " -> ")))
}

// link works out, for a node whose dependencies are done, which steps it
// needs and whether it depends on results.
func (m *module) link(n *node) {
	seen := map[string]bool{}
	add := func(s stepRef) {
		key := s.node.address
		if s.instance != nil {
			key += "\x00" + *s.instance
		}
		if !seen[key] {
			seen[key] = true
			n.steps = append(n.steps, s)
		}
	}
	for _, r := range n.refs {
		dep := m.nodes[r.node]
		switch {
		case dep == nil:
		case dep.stepKind() != "":
			add(stepRef{dep, r.instance})
			n.late = true
		default:
			for _, s := range dep.steps {
				add(s)
			}
			n.late = n.late || dep.late
			n.locals = max(n.locals, dep.locals)
		}
	}
	if n.expr != nil {
		if n.locals++; n.locals == maxLocals+1 {
			m.add(failure(n.at, summaryTooComplex, "More than %d local values build on one another here. Merge some of them.", maxLocals))
			n.circular = true
		}
	}
}

// needs expands step references to instance addresses, in order, each once.
func needs(steps []stepRef) []pipelines.Address {
	var out []pipelines.Address
	seen := map[pipelines.Address]bool{}
	for _, s := range steps {
		for _, i := range s.node.expanded.instances {
			if s.instance != nil && *s.instance != i.key {
				continue
			}
			a := stepAddress(s.node, i.key, s.node.expanded.multiple)
			if !seen[a] {
				seen[a] = true
				out = append(out, a)
			}
		}
	}
	return out
}

// stepsOf works out what a block that is no node (check, output) needs.
func (m *module) stepsOf(refs []reference) []stepRef {
	n := &node{refs: refs}
	m.link(n)
	return n.steps
}
