package hclspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/trainwright/trainwright/pipelines"
)

// Hover is what there is to say of a word. From and To are its bytes.
type Hover struct {
	Text string `json:"text"` // Markdown
	From int    `json:"from"`
	To   int    `json:"to"`
}

// Hover explains the word at a cursor; nil where there is nothing to say.
func (d *Draft) Hover(at Cursor) (out *Hover) {
	var broken hcl.Diagnostics
	defer rescue(&broken)
	defer watching(hcl.Range{})
	p, ok := d.placeOfWord(at)
	if !ok {
		return nil
	}
	if text := d.explain(p); text != "" {
		return &Hover{Text: text, From: p.word[0], To: p.word[1]}
	}
	return nil
}

// placeOfWord is the place at the end of the word under a cursor.
func (d *Draft) placeOfWord(at Cursor) (place, bool) {
	p, ok := d.place(at)
	if !ok {
		return p, false
	}
	text := d.text
	if p.word[1] > at.Byte {
		p = where(text, d.tokens, p.word[1])
	}
	if p.word[0] >= p.word[1] || at.Byte < p.word[0] || at.Byte > p.word[1] {
		return p, false
	}
	if p.kind == inValue && !p.quoted { // model in model.resnet
		steps := splitReference(p.before)
		if slices.Contains(roots, steps[0]) && len(steps) <= depth(steps[0]) {
			p.before += nextSteps.FindString(string(text[p.word[1]:min(len(text), p.word[1]+500)]))
		}
		if rest := text[p.word[1]:]; len(rest) > 0 && rest[0] == '(' {
			p.before += "("
		}
	}
	return p, true
}

var nextSteps = regexp.MustCompile(`^(\.[\pL_][\pL\pN_-]*)+`)

func (d *Draft) explain(p place) string {
	text := string(d.wordText(p))
	switch p.kind {
	case atName:
		return d.explainName(p, text)
	case atLabel:
		if kind := p.header[0]; len(p.header) == 1 && typed[kind][text] != nil && len(p.blocks) == 0 {
			return chapterText(kind, text)
		}
		if len(p.blocks) == 0 {
			return d.explainAddress(strings.Join(append(slices.Clone(p.header), text), "."))
		}
	case atKey:
		if prefix, ok := p.config(); ok {
			return d.explainField(p, strings.TrimPrefix(prefix+"."+text, "."))
		}
		if field, ok := strings.CutPrefix(text, "config."); ok && p.isAxes() {
			return d.explainField(p, field)
		}
		if p.isAxes() && len(p.keys) == 0 {
			return aboutArgument([]string{"train"}, "", text)
		}
	case inValue:
		if p.quoted {
			return d.explainText(p, text)
		}
		return d.explainReference(p.before)
	}
	return ""
}

func (d *Draft) wordText(p place) []byte {
	return []byte(p.before[max(0, len(p.before)-(p.word[1]-p.word[0])):])
}

// chapterText is what the manual says of executor "dagger" and the like.
func chapterText(kind, label string) string {
	c := chapterOf(kind)
	if c == nil {
		return ""
	}
	for _, e := range c.entries {
		if !e.row && strings.HasPrefix(e.plain, fmt.Sprintf("%s %q", kind, label)) {
			return e.text
		}
	}
	s := typed[kind][label]
	return fmt.Sprintf("`%s %q`: `%s`", kind, label, strings.Join(s.attributes(), "`, `"))
}

// explainName explains a block's type, an argument or a config field.
func (d *Draft) explainName(p place, name string) string {
	if len(p.blocks) == 0 {
		if topLevelSpec(name) != nil || typed[name] != nil {
			return aboutBlock([]string{name})
		}
		return ""
	}
	if prefix, ok := p.config(); ok {
		return d.explainField(p, strings.TrimPrefix(prefix+"."+name, "."))
	}
	if p.blocks[0].kind == "locals" {
		return d.explainAddress("local." + name)
	}
	spec := p.spec()
	switch {
	case spec == nil:
		return ""
	case spec.nested(name) != nil:
		return aboutBlock(append(p.kinds(), name))
	case contains(spec.attributes(), name):
		label := ""
		if typed[p.blocks[0].kind] != nil {
			label = first(p.blocks[0].labels)
		}
		return aboutArgument(p.kinds(), label, name)
	}
	return ""
}

func (d *Draft) explainField(p place, name string) string {
	train := first(p.blocks[0].labels)
	f, ok := d.field(train, name)
	if !ok {
		return ""
	}
	adapter, _ := d.trainSchema(train)
	out := f.Markdown() + "\nA config field of adapter `" + adapter + "`."
	if f.Label != "" && f.Description != "" {
		out = "**" + f.Label + "**\n\n" + out
	}
	return out
}

// explainText explains an option, a model, an adapter or a metric in quotes.
func (d *Draft) explainText(p place, text string) string {
	if f, ok := d.fieldHere(p); ok {
		for _, o := range f.Options {
			if o.Value == text {
				return fmt.Sprintf("`%s`%s\n\nOption of `%s`.", text, dashed(o.Label, o.Description), f.Name)
			}
		}
		return ""
	}
	if len(p.blocks) == 0 || p.blocks[0].kind != "model" {
		return ""
	}
	adapter, _, _ := d.modelFit("model." + first(p.blocks[0].labels))
	switch p.argument {
	case "adapter":
		if a, ok := d.m.adapter(text); ok {
			return adapterDoc(a)
		}
	case "name":
		for _, x := range d.m.opts.Catalog.Models(adapter, "") {
			if x.Name == text {
				return fmt.Sprintf("Model `%s` of adapter `%s`: %s.", x.Name, adapter, modelDetail(x))
			}
		}
	}
	return ""
}

func dashed(parts ...string) string {
	out := ""
	for _, p := range parts {
		if p != "" {
			out += ": " + p
		}
	}
	return out
}

// explainReference explains a reference or a function's name.
func (d *Draft) explainReference(text string) string {
	if name, call := strings.CutSuffix(text, "("); call {
		if _, ok := d.m.functions[name]; ok {
			return strings.TrimSpace("```hcl\n" + d.signature(name) + "\n```\n" + d.m.functions[name].Description())
		}
		return ""
	}
	steps := splitReference(text)
	n := depth(steps[0])
	if !slices.Contains(roots, steps[0]) || len(steps) <= n {
		return ""
	}
	address := strings.Join(steps[:n+1], ".")
	out := d.explainAddress(address)
	if len(steps) == n+1 || out == "" {
		return out
	}
	v := d.m.evaluator(nil).value(address)
	for _, step := range steps[n+1:] {
		v = stepInto(v, step)
	}
	return fmt.Sprintf("`%s`: %s\n\n%s", text, v.Type().FriendlyName(), out)
}

// explainAddress tells what is declared under a name, where, and its value.
func (d *Draft) explainAddress(address string) string {
	at, ok := d.declared(address)
	if !ok {
		return ""
	}
	out := fmt.Sprintf("`%s`, declared in %s, line %d", address, base(at.Filename), at.Start.Line)
	if detail := d.describe(address); detail != "" {
		out += ": " + detail
	}
	n := d.m.nodes[address]
	if n != nil && n.stepKind() != "" {
		if keys := n.expanded.keys(); n.expanded.multiple && !n.expanded.unknown {
			out += fmt.Sprintf("\n\n%d instances: %s", len(keys), listSome(keys))
		}
		return out
	}
	if n == nil && !strings.HasPrefix(address, "var.") || n != nil && n.block != nil {
		return out
	}
	v, marks := unmark(d.m.evaluator(nil).value(address))
	switch {
	case marks.sensitive:
		out += "\n\n(sensitive)"
	case len(marks.late) > 0:
		out += "\n\nknown after " + addresses(marks.late)
	case v.IsWhollyKnown():
		out += "\n\n```hcl\n" + show(v) + "\n```"
	}
	if in := d.m.inputs[strings.TrimPrefix(address, "var.")]; strings.HasPrefix(address, "var.") && in != nil {
		if a := in.block.attrs["description"]; a != nil {
			if text, diags := a.Expr.Value(nil); !diags.HasErrors() && stringOf(text) != "" {
				out += "\n\n" + stringOf(text)
			}
		}
	}
	return out
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// declared is where a name is declared.
func (d *Draft) declared(address string) (hcl.Range, bool) {
	if name, ok := strings.CutPrefix(address, "var."); ok && d.m.inputs[name] != nil {
		return d.m.inputs[name].block.head, true
	}
	if n := d.m.nodes[address]; n != nil {
		return n.at, true
	}
	return hcl.Range{}, false
}

// Definition is where the name under a cursor is declared.
func (d *Draft) Definition(at Cursor) (out []pipelines.Range) {
	var broken hcl.Diagnostics
	defer rescue(&broken)
	if r, ok := d.declared(d.addressAt(at)); ok {
		return []pipelines.Range{toRange(r)}
	}
	return nil
}

// References lists where the name under a cursor stands.
func (d *Draft) References(at Cursor, declaration bool) (out []pipelines.Range) {
	var broken hcl.Diagnostics
	defer rescue(&broken)
	address := d.addressAt(at)
	r, ok := d.declared(address)
	if !ok {
		return nil
	}
	if declaration {
		out = append(out, toRange(r))
	}
	add := func(refs []reference) {
		for _, r := range refs {
			if r.node == address {
				out = append(out, toRange(r.traversal.SourceRange()))
			}
		}
	}
	for _, b := range d.m.order {
		if b.spec != localsBlock {
			add(b.refs)
		}
	}
	for _, address := range sortedKeys(d.m.nodes) {
		if n := d.m.nodes[address]; n.expr != nil {
			add(n.refs)
		}
	}
	return out
}

// addressAt is the declared name that the word under a cursor stands for.
func (d *Draft) addressAt(at Cursor) string {
	p, ok := d.placeOfWord(at)
	if !ok {
		return ""
	}
	text := string(d.wordText(p))
	switch p.kind {
	case atLabel:
		if len(p.blocks) == 0 {
			parts := append(slices.Clone(p.header), text)
			if parts[0] == "variable" {
				parts[0] = "var"
			}
			return strings.Join(parts, ".")
		}
	case atName:
		if len(p.blocks) == 1 && p.blocks[0].kind == "locals" {
			return "local." + text
		}
	case inValue:
		if p.quoted {
			if len(p.blocks) == 1 && p.blocks[0].kind == "model" && p.argument == "adapter" {
				return "adapter." + text
			}
			return ""
		}
		steps := splitReference(p.before)
		if n := depth(steps[0]); len(steps) > n {
			return strings.Join(steps[:n+1], ".")
		}
	}
	return ""
}

// Symbol is a block or argument of a file.
type Symbol struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"` // block | argument
	Range    pipelines.Range `json:"range"`
	Header   pipelines.Range `json:"header"` // its type and labels, or its name
	Children []Symbol        `json:"children,omitempty"`
}

// Symbols lists the blocks of a file with what they hold.
func Symbols(src []byte, filename string) []Symbol {
	var broken hcl.Diagnostics
	defer rescue(&broken)
	if guard(src, filename).HasErrors() {
		return nil
	}
	file, _ := parse(pipelines.Source{Filename: filename, Text: src})
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	return symbolsOf(body)
}

func symbolsOf(body *hclsyntax.Body) []Symbol {
	var out []Symbol
	for _, a := range body.Attributes {
		out = append(out, Symbol{Name: a.Name, Kind: "argument", Range: toRange(a.SrcRange), Header: toRange(a.NameRange)})
	}
	for _, b := range body.Blocks {
		name := b.Type
		for _, l := range b.Labels {
			name += fmt.Sprintf(" %q", l)
		}
		out = append(out, Symbol{Name: name, Kind: "block", Range: toRange(hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)),
			Header: toRange(hcl.RangeBetween(b.TypeRange, b.DefRange())), Children: symbolsOf(b.Body)})
	}
	slices.SortFunc(out, func(a, b Symbol) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	return out
}

// Syntax reports what is wrong with the text of a file by itself.
func Syntax(src []byte, filename string) (diags hcl.Diagnostics) {
	defer rescue(&diags)
	_, diags = parse(pipelines.Source{Filename: filename, Text: src})
	return diags
}
