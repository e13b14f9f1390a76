package hclspec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var movedBlock = &blockSpec{Type: "moved", Required: []string{"from", "to"}}

// moved decodes the renamings. from must be gone and to must exist.
func (m *module) moved() []pipelines.Moved {
	var out []pipelines.Moved
	for _, b := range m.blocksOf("moved") {
		from, ok1 := m.movedAddress(b, "from")
		to, ok2 := m.movedAddress(b, "to")
		if !ok1 || !ok2 {
			continue
		}
		switch {
		case m.hasStep(from):
			m.add(failure(b.at("from"), "Step still exists", "%s is still declared, so its state cannot move to %s. Rename the block, or remove this moved block.", from, to))
			continue
		case !m.hasStep(to):
			m.add(failure(b.at("to"), "Reference to undeclared name", "There is no step %s to move to.%s", to, didYouMean(string(to), m.stepAddresses())))
			continue
		}
		for _, other := range out {
			if other.From == from || other.To == to {
				m.add(failure(b.head, "Contradicting blocks", "Another moved block on line %d has the same from or to.", other.Range.Start.Line))
			}
		}
		out = append(out, pipelines.Moved{From: from, To: to, Range: toRange(b.head)})
	}
	return out
}

func (m *module) movedAddress(b *block, name string) (pipelines.Address, bool) {
	a := b.attrs[name]
	if a == nil {
		return "", false
	}
	t, diags := hcl.AbsTraversalForExpr(a.Expr)
	if !diags.HasErrors() && len(t) >= 2 && len(t) <= 3 && isStepRoot(t.RootName()) {
		if attr, ok := t[1].(hcl.TraverseAttr); ok {
			address := t.RootName() + "." + attr.Name
			if len(t) == 2 {
				return pipelines.Address(address), true
			}
			if i, ok := t[2].(hcl.TraverseIndex); ok && i.Key.Type() == cty.String {
				return pipelines.Address(fmt.Sprintf("%s[%q]", address, i.Key.AsString())), true
			}
		}
	}
	m.add(failure(a.Expr.Range(), "Invalid address", "%q must be the address of a step: train.NAME or train.NAME[\"KEY\"], without quotes around it.", name))
	return "", false
}

func (m *module) hasStep(a pipelines.Address) bool {
	return slices.Contains(m.stepAddresses(), string(a))
}

func (m *module) stepAddresses() []string {
	var out []string
	for _, n := range m.nodes {
		if n.stepKind() != "" {
			for _, i := range n.expanded.instances {
				out = append(out, string(i.address(n)))
			}
		}
	}
	slices.Sort(out)
	return out
}
