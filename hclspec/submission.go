package hclspec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// SummaryNotAllowed is the summary of what a submitted pipeline may not say.
const SummaryNotAllowed = "Not allowed in a submitted pipeline"

// forbid refuses what a submitted pipeline may not say.
func (m *module) forbid(at hcl.Range, detail string, args ...any) {
	if m.opts.Submission != nil {
		m.add(failure(at, SummaryNotAllowed, detail, args...))
	}
}

// readable refuses environment variables that a submitted pipeline may not read.
func (m *module) readable(function, name string) error {
	if s := m.opts.Submission; s == nil || slices.Contains(s.Env, name) {
		return nil
	}
	return &callError{SummaryNotAllowed, fmt.Sprintf("%s(%q) reads the server's environment. Its operator allows names with --allow-env; give the value as a variable otherwise.", function, name)}
}
