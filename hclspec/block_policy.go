package hclspec

import (
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

var policyBlock = &blockSpec{Type: "policy", Optional: []string{"forbid_licenses"}}

// policy decodes what the owner refuses. Several policy blocks add up.
func (m *module) policy() pipelines.Policy {
	var p pipelines.Policy
	for _, b := range m.blocksOf("policy") {
		m.checkNames(b.refs, false)
		s := m.static.scope(nil)
		list, _ := s.texts(b, "forbid_licenses", "policy.forbid_licenses")
		p.ForbidLicenses = append(p.ForbidLicenses, list...)
		p.Range = toRange(b.head)
		m.add(s.diags...)
	}
	m.forbidden = p.ForbidLicenses
	return p
}

// checkLicense refuses models and adapters whose licence the policy forbids.
func (m *module) checkLicense(s *scope, b *block, d *modelDecl) {
	if m.forbids(d.spec.License) {
		at := b.at("name")
		if b.attrs["license"] != nil {
			at = b.at("license")
		}
		s.fail(at, "License forbidden by policy", "The model %q is under %s, which the policy block forbids. Choose another model, or change the policy.", d.spec.Name, d.spec.License)
	}
	if a, ok := m.adapter(d.adapter); ok && m.forbids(a.License) {
		s.fail(b.at("adapter"), "License forbidden by policy", "The adapter %q is under %s, which the policy block forbids. Choose another adapter, or change the policy.", a.Name, a.License)
	}
}

// forbids says whether the policy refuses a licence. "AGPL-3.0" refuses
// AGPL-3.0-only and AGPL-3.0-or-later too.
func (m *module) forbids(license string) bool {
	return slices.ContainsFunc(m.forbidden, func(f string) bool {
		return strings.EqualFold(license, f) || strings.HasPrefix(strings.ToLower(license), strings.ToLower(f)+"-")
	})
}
