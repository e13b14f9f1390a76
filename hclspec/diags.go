package hclspec

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/pipelines"
)

const maxDiagnostics = 500

// diagKey is what makes two diagnostics the same.
type diagKey struct {
	severity        hcl.DiagnosticSeverity
	summary, detail string
	at              hcl.Range
}

func keyOf(d *hcl.Diagnostic) diagKey {
	k := diagKey{severity: d.Severity, summary: d.Summary, detail: d.Detail}
	if d.Subject != nil {
		k.at = *d.Subject
	}
	return k
}

// instanceDiags gathers what the instances of one step tell, each thing once.
type instanceDiags struct {
	order    hcl.Diagnostics
	concerns map[diagKey][]pipelines.Address
}

func (g *instanceDiags) add(diags hcl.Diagnostics, at pipelines.Address) {
	for _, d := range diags {
		k := keyOf(d)
		if len(g.concerns[k]) == 0 {
			g.order = append(g.order, d)
		}
		if list := g.concerns[k]; len(list) == 0 || list[len(list)-1] != at {
			g.concerns[k] = append(list, at)
		}
	}
}

// named returns them; what is wrong in some of several instances says in which.
func (g *instanceDiags) named(e expansion) hcl.Diagnostics {
	for _, d := range g.order {
		if list := g.concerns[keyOf(d)]; e.multiple && !e.unknown && len(list) < len(e.instances) {
			d.Detail += " This concerns " + join(addressStrings(list), "and") + "."
		}
	}
	return g.order
}

// placed puts what has no place in a file first.
func placed(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return 0
	}
	return 1
}

// distinct drops repeats (a matrix tells the same of every instance), puts
// the rest in source order and cuts a flood short.
func distinct(diags hcl.Diagnostics) hcl.Diagnostics {
	seen := map[diagKey]bool{}
	var out hcl.Diagnostics
	for _, d := range diags {
		k := keyOf(d)
		if !seen[k] {
			seen[k] = true
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(placed(a), placed(b))
		}
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	if len(out) > maxDiagnostics {
		severity := hcl.DiagWarning
		if diags.HasErrors() {
			severity = hcl.DiagError
		}
		out = append(out[:maxDiagnostics:maxDiagnostics], &hcl.Diagnostic{Severity: severity, Summary: "Too many problems",
			Detail: fmt.Sprintf("%d more problems are not shown. Fix these first.", len(out)-maxDiagnostics)})
	}
	return out
}
