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
	m     *module
	texts map[string][]byte // as they are being written
}

// Cursor is a byte of a file.
type Cursor struct {
	File string // as ranges carry it: an absolute name
	Byte int
}

// NewDraft reads the pipeline in the folder dir, which is absolute. What is
// wrong with it is for Load to tell.
func NewDraft(ctx context.Context, dir string, opts Options, at Cursor) (d *Draft) {
	opts.Validate = true
	m := newModule(dir, opts, Files{})
	d = &Draft{m: m, texts: map[string][]byte{}}
	var broken hcl.Diagnostics // told by Load
	defer rescue(&broken)
	defer watching(hcl.Range{})
	src, _ := readSources(dir, opts)
	for _, s := range src.files {
		d.texts[s.Filename] = s.Text
		if s.Filename == at.File {
			s.Text = mend(s.Text, at)
		}
		if ctx.Err() != nil {
			return d
		}
		if d.readDraft(s) {
			m.collect(m.files[s.Filename])
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

// readDraft parses a file and keeps what the parser understood of it. False
// says that it must not be evaluated.
func (d *Draft) readDraft(src pipelines.Source) bool {
	if guard(src.Text, src.Filename).HasErrors() {
		return false
	}
	file, _ := parse(src)
	d.m.files[src.Filename] = file
	body, ok := file.Body.(*hclsyntax.Body)
	return ok && !meter(body, d.m.budget).HasErrors()
}

// mend makes text parse where it can, by leaving out what is being written at
// the cursor. Places of all else stay as they are.
func mend(src []byte, at Cursor) []byte {
	if guard(src, at.File).HasErrors() || at.Byte < 0 || at.Byte > len(src) {
		return src
	}
	problems := func(text []byte) int {
		_, diags := hclsyntax.ParseConfig(text, at.File, hcl.InitialPos)
		return len(diags)
	}
	best, least := src, problems(src)
	if least == 0 {
		return src
	}
	p := where(src, at.Byte)
	word := [2]int{min(p.word[0], at.Byte-len(p.before)), p.word[1]}
	line := [2]int{bytes.LastIndexByte(src[:at.Byte], '\n') + 1, len(src)}
	if i := bytes.IndexByte(src[at.Byte:], '\n'); i >= 0 {
		line[1] = at.Byte + i
	}
	for _, cut := range [][2]int{line, word} {
		text := bytes.Clone(src)
		for i := cut[0]; i < cut[1]; i++ {
			text[i] = ' '
		}
		if cut == word && p.kind == inValue && !p.quoted {
			copy(text[cut[0]:cut[1]], "null"[:min(4, cut[1]-cut[0])])
		}
		if n := problems(text); n < least {
			best, least = text, n
		}
	}
	return best
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

// place finds where a cursor is.
func (d *Draft) place(at Cursor) (place, []byte, bool) {
	text, ok := d.texts[at.File]
	if !ok || at.Byte < 0 || at.Byte > len(text) || guard(text, at.File).HasErrors() {
		return place{}, nil, false
	}
	return where(text, at.Byte), text, true
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
