package hclspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// blockSpec says what a block may hold. The specs are data: they decode
// blocks, name them in diagnostics and are checked against spec.md.
type blockSpec struct {
	Type     string
	Labels   []string // what each label names, for messages
	Required []string // attributes that must be there
	Optional []string
	Blocks   []*blockSpec // nested blocks, at most one of each unless Many
	Many     bool
	Open     bool // holds whatever the user names: locals, config
	// Words are the choices of attributes that are one of some words, or a list of such.
	Words map[string][]string
	Flags []string // attributes that are true or false
}

func (s *blockSpec) attributes() []string { return append(slices.Clone(s.Required), s.Optional...) }

func (s *blockSpec) nested(name string) *blockSpec {
	for _, n := range s.Blocks {
		if n.Type == name {
			return n
		}
	}
	return nil
}

// header is how the block is named in messages: train "NAME".
func (s *blockSpec) header() string {
	h := s.Type
	for _, l := range s.Labels {
		h += " " + strings.ToUpper(l)
	}
	return h
}

// block is a decoded block: its parts by name, every one allowed by its spec.
type block struct {
	spec   *blockSpec
	labels []string
	head   hcl.Range // type and labels
	body   *hclsyntax.Body
	attrs  map[string]*hclsyntax.Attribute
	blocks map[string][]*block
	refs   []reference // of all expressions in it
}

// name is the last label.
func (b *block) name() string {
	if len(b.labels) == 0 {
		return ""
	}
	return b.labels[len(b.labels)-1]
}

// address is how expressions refer to the block: train.baseline, executor.dagger.gpu.
func (b *block) address() string {
	return strings.Join(append([]string{b.spec.Type}, b.labels...), ".")
}

func (b *block) one(name string) *block {
	if l := b.blocks[name]; len(l) > 0 {
		return l[0]
	}
	return nil
}

// at is the range of an attribute's value, or the block's header without it.
func (b *block) at(name string) hcl.Range {
	if a, ok := b.attrs[name]; ok {
		return a.Expr.Range()
	}
	return b.head
}

// decode reads a block by its spec. elsewhere finds other homes for a name
// that does not belong here.
func decode(spec *blockSpec, raw *hclsyntax.Block, elsewhere func(name string, at *blockSpec) string) (*block, hcl.Diagnostics) {
	b := &block{spec: spec, labels: raw.Labels[:min(len(raw.Labels), len(spec.Labels))], head: hcl.RangeBetween(raw.TypeRange, raw.DefRange()), body: raw.Body,
		attrs: map[string]*hclsyntax.Attribute{}, blocks: map[string][]*block{}}
	diags := checkLabels(spec, raw)
	if spec.Open {
		b.attrs = raw.Body.Attributes
		return b, diags
	}
	allowed := spec.attributes()
	for _, a := range sortedAttributes(raw.Body) {
		switch {
		case slices.Contains(allowed, a.Name):
			b.attrs[a.Name] = a
		case spec.nested(a.Name) != nil:
			diags = append(diags, failure(a.NameRange, "Unsupported argument", "In block %s, %q is a block: write %s { … } without the equals sign.", spec.Type, a.Name, a.Name))
		default:
			diags = append(diags, failure(a.NameRange, "Unsupported argument", "Block %s has no argument %q.%s", spec.Type, a.Name, hint(a.Name, spec, elsewhere)))
		}
	}
	for _, name := range spec.Required {
		if _, ok := raw.Body.Attributes[name]; !ok {
			diags = append(diags, failure(b.head, "Missing required argument", "Block %s needs the argument %q.", spec.header(), name))
		}
	}
	for _, inner := range raw.Body.Blocks {
		n := spec.nested(inner.Type)
		switch {
		case n == nil && slices.Contains(allowed, inner.Type):
			diags = append(diags, failure(inner.TypeRange, "Unsupported block", "In block %s, %q is an argument: write %s = … with an equals sign.", spec.Type, inner.Type, inner.Type))
			continue
		case n == nil:
			diags = append(diags, failure(inner.TypeRange, "Unsupported block", "Block %s has no block %q.%s", spec.Type, inner.Type, hint(inner.Type, spec, elsewhere)))
			continue
		case !n.Many && len(b.blocks[n.Type]) > 0:
			diags = append(diags, failure(inner.DefRange(), "Duplicate block", "Block %s may have one block %s; the first is on line %d. Merge the two.", spec.Type, n.Type, b.blocks[n.Type][0].head.Start.Line))
			continue
		}
		decoded, more := decode(n, inner, elsewhere)
		diags = append(diags, more...)
		b.blocks[n.Type] = append(b.blocks[n.Type], decoded)
	}
	return b, diags
}

func checkLabels(spec *blockSpec, raw *hclsyntax.Block) hcl.Diagnostics {
	var diags hcl.Diagnostics
	switch {
	case len(raw.Labels) < len(spec.Labels):
		diags = append(diags, failure(raw.DefRange(), "Missing block label", "Write the block as: %s { … }", spec.header()))
	case len(raw.Labels) > len(spec.Labels):
		diags = append(diags, failure(raw.LabelRanges[len(spec.Labels)], "Extraneous block label", "Write the block as: %s { … }", spec.header()))
	}
	for i, l := range raw.Labels {
		if i < len(spec.Labels) && (!hclsyntax.ValidIdentifier(l) || len(l) > 200) {
			diags = append(diags, failure(raw.LabelRanges[i], "Invalid name", "The %s of a %s block must start with a letter and hold only letters, digits, _ and -.", spec.Labels[i], spec.Type))
		}
	}
	return diags
}

// hint says what the writer of an unknown name may have meant.
func hint(name string, spec *blockSpec, elsewhere func(string, *blockSpec) string) string {
	candidates := spec.attributes()
	for _, n := range spec.Blocks {
		candidates = append(candidates, n.Type)
	}
	if near := didYouMean(name, candidates); near != "" {
		return near
	}
	if elsewhere != nil {
		if home := elsewhere(name, spec); home != "" {
			return fmt.Sprintf(" %q belongs under block %s.", name, home)
		}
	}
	return ""
}

// sortedAttributes lists attributes in source order.
func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	out := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, a := range body.Attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return out
}
