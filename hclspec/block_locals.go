package hclspec

import "github.com/hashicorp/hcl/v2/hclsyntax"

var localsBlock = &blockSpec{Type: "locals", Open: true}

// addLocals makes a node of every local value.
func (m *module) addLocals(b *block) {
	for _, inner := range b.body.Blocks {
		m.add(failure(inner.TypeRange, "Unsupported block", "A locals block holds arguments only: %s = { … }", inner.Type))
	}
	for _, a := range sortedAttributes(b.body) {
		if !hclsyntax.ValidIdentifier(a.Name) {
			continue
		}
		m.addNode(&node{address: "local." + a.Name, expr: a.Expr, refs: refsOf(a.Expr), at: a.NameRange})
	}
}
