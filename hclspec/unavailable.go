package hclspec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
)

const summaryUnavailable = "Not available in this version"

// notYet refuses what this version cannot execute. While validating it is
// checked like everything else and no error.
func (m *module) notYet(s *scope, at hcl.Range, detail string) {
	if !m.opts.Validate {
		s.fail(at, summaryUnavailable, "%s It is checked by validate and cannot be planned or applied.", detail)
	}
}

// executable lists the dataset formats that some adapter takes.
func (m *module) executable(format string) bool {
	if m.opts.Catalog == nil {
		return true
	}
	for _, a := range m.opts.Catalog.Adapters() {
		if contains(a.Formats, format) {
			return true
		}
	}
	return false
}

func (m *module) checkDataPath(s *scope, at hcl.Range, path string) {
	if scheme, _, ok := strings.Cut(path, "://"); ok && scheme != "s3" {
		m.notYet(s, at, "Datasets at "+scheme+":// addresses are not part of this version.")
	}
}
