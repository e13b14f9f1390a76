package hclspec

import (
	"slices"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

var adapterBlock = &blockSpec{Type: "adapter", Labels: []string{"name"}, Required: []string{"source"}, Optional: []string{"requirements", "strict"}, Flags: []string{"strict"}}

// declareAdapters makes the user's own adapters known to what follows.
func (m *module) declareAdapters(p *pipelines.Pipeline) {
	for _, b := range m.blocksOf("adapter") {
		if n := m.nodes[b.address()]; n == nil || n.block != b {
			continue // a duplicate, told already
		}
		if c, ok := m.adapterDecl(b); ok {
			p.Adapters = append(p.Adapters, c)
		}
	}
}

// adapterDecl decodes an adapter block: a user's own adapter.
func (m *module) adapterDecl(b *block) (pipelines.AdapterConfig, bool) {
	m.forbid(b.head, "An adapter of one's own is a program. The server runs those that its operator installed.")
	if m.opts.Submission != nil {
		return pipelines.AdapterConfig{}, false
	}
	s := m.static.scope(nil)
	defer func() { m.add(s.diags...) }()
	c := pipelines.AdapterConfig{Name: b.name(), Range: toRange(b.head)}
	if _, builtIn := m.adapter(c.Name); builtIn {
		s.fail(b.head, "Duplicate name", "%q is an adapter that comes with the runner. Give yours another name.", c.Name)
	}
	source, ok := s.text(b, "source", "adapter.source", early)
	requirements, _ := s.text(b, "requirements", "adapter.requirements", early)
	c.Strict, _ = s.boolean(b, "strict", "adapter.strict")
	if !ok || s.diags.HasErrors() {
		return c, false
	}
	if c.Source = m.resolvePath(source); requirements != "" {
		c.Requirements = m.resolvePath(requirements)
	}
	if m.opts.External == nil {
		m.notYet(s, b.head, "Adapters of your own cannot be used here.")
		return c, false
	}
	known, err := m.opts.External(c)
	if err != nil {
		s.fail(b.at("source"), "Adapter cannot be used", "Adapter %q: %s", c.Name, err)
		return c, false
	}
	m.opts.Catalog = catalogs{m.opts.Catalog, known}
	return c, true
}

// catalogs is several catalogs as one.
type catalogs []Catalog

func (c catalogs) Adapters() []Adapter {
	var out []Adapter
	for _, x := range c {
		if x != nil {
			out = append(out, x.Adapters()...)
		}
	}
	return out
}

// of returns the catalog that holds an adapter.
func (c catalogs) of(adapter string) Catalog {
	for _, x := range c {
		if x != nil && slices.ContainsFunc(x.Adapters(), func(a Adapter) bool { return a.Name == adapter }) {
			return x
		}
	}
	return nil
}

func (c catalogs) Models(adapter, task string) []Model {
	if x := c.of(adapter); x != nil {
		return x.Models(adapter, task)
	}
	return nil
}

func (c catalogs) Schema(adapter, task string) (schema.Schema, schema.Presets, bool) {
	if x := c.of(adapter); x != nil {
		return x.Schema(adapter, task)
	}
	return schema.Schema{}, nil, false
}
