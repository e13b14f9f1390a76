package hclspec

var adapterBlock = &blockSpec{Type: "adapter", Labels: []string{"name"}, Required: []string{"source"}, Optional: []string{"requirements", "strict"}}

// adapterDecl checks an adapter block: a user's own adapter.
func (m *module) adapterDecl(b *block) {
	m.forbid(b.head, "An adapter of one's own is a program. The server runs those that its operator installed.")
	s := m.static.scope(nil)
	s.text(b, "source", "adapter.source", early)
	s.text(b, "requirements", "adapter.requirements", early)
	s.boolean(b, "strict", "adapter.strict")
	if _, builtIn := m.adapter(b.name()); builtIn {
		s.fail(b.head, "Duplicate name", "%q is an adapter that comes with the runner. Give yours another name.", b.name())
	}
	m.notYet(s, b.head, "Adapters of your own are not part of this version.")
	m.add(s.diags...)
}
