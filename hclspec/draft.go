package hclspec

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/pipelines"
)

// Draft answers an editor's questions about a pipeline that is being written
// and may not parse: what may stand at a place, what something there means,
// where it is declared. What it knows comes from the specs, schemas and
// decoders that Load uses.
type Draft struct {
	m      *module
	text   []byte // of the cursor's file, as it is being written
	tokens hclsyntax.Tokens
}

// Cursor is a byte of a file.
type Cursor struct {
	File    string // as ranges carry it: an absolute name
	Byte    int
	Writing bool // the word there is not yet written: for Complete
}

// NewDraft reads the pipeline in the folder dir, which is absolute. What is
// wrong with it is for Load to tell.
func NewDraft(ctx context.Context, dir string, opts Options, at Cursor) (d *Draft) {
	opts.Validate = true
	m := newModule(dir, opts, Files{})
	d = &Draft{m: m}
	var broken hcl.Diagnostics // told by Load
	defer rescue(&broken)
	defer watching(hcl.Range{})
	src, _ := readSources(dir, opts)
	for _, s := range src.files {
		if ctx.Err() != nil {
			return d
		}
		file, _ := d.parse(s, at)
		m.files[s.Filename] = file
		if body, ok := file.Body.(*hclsyntax.Body); ok && !meter(body, m.budget).HasErrors() {
			m.collect(file)
		}
	}
	m.setVariables(src.vars)
	sorted := m.linkNodes()
	m.declareAdapters(&pipelines.Pipeline{})
	for _, n := range sorted {
		if n.stepKind() != "" && !n.circular {
			m.checkInstances(n.refs)
			n.expanded = m.expand(n)
		}
	}
	for _, b := range m.order {
		if m.nodes[b.address()] == nil {
			m.checkNames(b.refs, false) // of checks and outputs
		}
	}
	return d
}

// parse reads a file. That of the cursor is made to parse where it can, by
// leaving out what is being written there; places of all else stay as they are.
func (d *Draft) parse(src pipelines.Source, at Cursor) (*hcl.File, hcl.Diagnostics) {
	if src.Filename != at.File || at.Byte < 0 || at.Byte > len(src.Text) {
		return parse(src)
	}
	tokens, diags := lex(src.Text, src.Filename)
	if diags.HasErrors() {
		return &hcl.File{Bytes: src.Text, Body: &hclsyntax.Body{}}, diags
	}
	d.text, d.tokens = src.Text, tokens
	cuts := d.cuts(at)
	if !at.Writing {
		cuts[0], cuts[1] = cuts[1], cuts[0]
	}
	var best *hcl.File
	for _, text := range cuts {
		file, problems := hclsyntax.ParseConfig(text, src.Filename, hcl.InitialPos)
		if file != nil && (best == nil || len(problems) < len(diags)) {
			best, diags = file, problems
		}
		if len(diags) == 0 {
			break
		}
	}
	return best, diags
}

// cuts are the cursor's text without its line, as it is, and without the word there.
func (d *Draft) cuts(at Cursor) [3][]byte {
	src := d.text
	p := where(src, d.tokens, at.Byte)
	word := [2]int{min(p.word[0], at.Byte-len(p.before)), p.word[1]}
	line := [2]int{bytes.LastIndexByte(src[:at.Byte], '\n') + 1, len(src)}
	if i := bytes.IndexByte(src[at.Byte:], '\n'); i >= 0 {
		line[1] = at.Byte + i
	}
	blank := func(cut [2]int) []byte {
		text := bytes.Clone(src)
		for i := cut[0]; i < cut[1]; i++ {
			text[i] = ' '
		}
		return text
	}
	rest := blank(word)
	if p.kind == inValue && !p.quoted {
		copy(rest[word[0]:word[1]], "null"[:min(4, word[1]-word[0])])
	}
	return [3][]byte{blank(line), src, rest}
}

// place finds where a cursor is.
func (d *Draft) place(at Cursor) (place, bool) {
	if d.tokens == nil || at.Byte < 0 || at.Byte > len(d.text) {
		return place{}, false
	}
	return where(d.text, d.tokens, at.Byte), true
}

// trainSchema is the schema that a train step's config is held against.
func (d *Draft) trainSchema(name string) (adapter, task string) {
	if n := d.m.nodes["train."+name]; n != nil && n.block != nil {
		refs := []reference{}
		if a := n.block.attrs["model"]; a != nil {
			refs = append(refs, refsOf(a.Expr)...)
		}
		if a := n.block.attrs["matrix"]; a != nil {
			refs = append(refs, refsOf(a.Expr)...)
		}
		for _, r := range refs {
			if adapter, task, ok := d.modelFit(r.node); ok {
				return adapter, task
			}
		}
	}
	for _, b := range d.m.blocksOf("model") { // most pipelines have one
		if adapter, task, ok := d.modelFit(b.address()); ok {
			return adapter, task
		}
	}
	return "native", "image_classification"
}

// modelFit is a model's adapter and task, as far as they are known.
func (d *Draft) modelFit(address string) (adapter, task string, ok bool) {
	name, isModel := strings.CutPrefix(address, "model.")
	n := d.m.nodes[address]
	if !isModel || n == nil || n.circular || n.block == nil {
		return "", "", false
	}
	decl := d.m.evaluator(nil).model(name)
	a, known := d.m.adapter(decl.adapter)
	if !known {
		return "", "", false
	}
	if decl.task == "" && len(a.Tasks) > 0 {
		return a.Name, a.Tasks[0], true
	}
	return a.Name, decl.task, true
}

// names lists the declared names of a root, sorted.
func (d *Draft) names(root string) []string {
	var out []string
	if root == "var" {
		for name := range d.m.inputs {
			out = append(out, name)
		}
	}
	for address := range d.m.nodes {
		if rest, ok := strings.CutPrefix(address, root+"."); ok {
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return out
}
