package hclspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// Completion is something that may be written at a cursor.
type Completion struct {
	Label   string `json:"label"`
	Kind    string `json:"kind"` // block | argument | field | group | value | reference | function
	Detail  string `json:"detail,omitempty"`
	Doc     string `json:"doc,omitempty"` // Markdown
	Insert  string `json:"insert"`
	Snippet string `json:"snippet,omitempty"` // in place of Insert, for editors that know placeholders
	Rank    int    `json:"rank"`              // what fits best has the lowest
	From    int    `json:"from"`              // the bytes that it replaces
	To      int    `json:"to"`
}

// Complete lists what may be written at a cursor.
func (d *Draft) Complete(at Cursor) (out []Completion) {
	var broken hcl.Diagnostics
	defer rescue(&broken)
	defer watching(hcl.Range{})
	p, ok := d.place(at)
	if !ok {
		return nil
	}
	switch p.kind {
	case atName:
		out = d.nameable(p, at)
	case atLabel:
		out = labelsOf(p)
	case atKey:
		out = d.keysOf(p)
	case inValue:
		return d.valuesOf(p, at)
	}
	for i := range out {
		out[i].From, out[i].To = p.word[0], p.word[1]
	}
	return out
}

// nameable lists blocks, arguments and config fields that may be named.
func (d *Draft) nameable(p place, at Cursor) []Completion {
	if len(p.blocks) == 0 {
		var out []Completion
		for _, s := range topLevel {
			out = append(out, blockItem(s, nil))
		}
		for _, kind := range typedNames {
			out = append(out, Completion{Label: kind, Kind: "block", Detail: kind + ` "TYPE" …`, Insert: kind + " ", Doc: aboutBlock([]string{kind}),
				Snippet: fmt.Sprintf("%s \"${1|%s|}\"", kind, strings.Join(sortedKeys(typed[kind]), ","))})
		}
		return out
	}
	taken := d.written(at)
	if prefix, ok := p.config(); ok {
		return slices.DeleteFunc(d.fieldsAt(p.blocks[0], prefix, p.equals, false), func(c Completion) bool { return taken[c.Label] })
	}
	spec := p.spec()
	if spec == nil {
		return nil
	}
	var out []Completion
	for _, name := range spec.attributes() {
		if !taken[name] {
			out = append(out, argumentItem(spec, p, name))
		}
	}
	for _, n := range spec.Blocks {
		if !taken[n.Type] || n.Many {
			out = append(out, blockItem(n, p.kinds()))
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// blockItem is a block with what it needs.
func blockItem(s *blockSpec, inside []string) Completion {
	c := Completion{Label: s.Type, Kind: "block", Detail: s.header() + " { … }", Doc: aboutBlock(append(slices.Clone(inside), s.Type)), Insert: s.Type + " {", Rank: 1}
	var b strings.Builder
	b.WriteString(s.Type)
	n := 0
	for _, l := range s.Labels {
		n++
		fmt.Fprintf(&b, ` "${%d:%s}"`, n, l)
	}
	b.WriteString(" {\n")
	width := 0
	for _, name := range s.Required {
		width = max(width, len(name))
	}
	for _, name := range s.Required {
		n++
		fmt.Fprintf(&b, "  %-*s = ${%d}\n", width, name, n)
	}
	if len(s.Required) == 0 {
		b.WriteString("  $0\n")
	}
	b.WriteString("}")
	c.Snippet = b.String()
	return c
}

func argumentItem(spec *blockSpec, p place, name string) Completion {
	label := ""
	if len(p.blocks[0].labels) > 0 && typed[p.blocks[0].kind] != nil {
		label = p.blocks[0].labels[0]
	}
	c := Completion{Label: name, Kind: "argument", Doc: aboutArgument(p.kinds(), label, name), Rank: 1}
	if slices.Contains(spec.Required, name) {
		c.Detail, c.Rank = "required", 0
	}
	assign(&c, name, p.equals, spec.Words[name], slices.Contains(spec.Flags, name), "")
	return c
}

// assign makes an item insert NAME = with a value to choose.
func assign(c *Completion, name string, equals bool, words []string, flag bool, value string) {
	if equals {
		c.Insert = name
		return
	}
	c.Insert = name + " = "
	switch {
	case flag:
		c.Snippet = c.Insert + "${1|true,false|}"
	case len(words) > 0:
		escaped := make([]string, len(words))
		for i, w := range words {
			escaped[i] = strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "}", `\}`, "$", `\$`).Replace(w)
		}
		c.Snippet = fmt.Sprintf("%s\"${1|%s|}\"", c.Insert, strings.Join(escaped, ","))
	case value != "":
		c.Snippet = fmt.Sprintf("%s${1:%s}", c.Insert, strings.NewReplacer(`\`, `\\`, "}", `\}`, "$", `\$`).Replace(value))
	}
}

// fieldsAt lists the config fields and groups below a prefix. In an object
// groups are objects, too.
func (d *Draft) fieldsAt(train opened, prefix string, equals, object bool) []Completion {
	if len(train.labels) == 0 {
		return nil
	}
	adapter, task := d.trainSchema(train.labels[0])
	s, _, ok := d.m.opts.Catalog.Schema(adapter, task)
	if !ok {
		return nil
	}
	if prefix != "" {
		prefix += "."
	}
	var out []Completion
	groups := map[string]bool{}
	for _, f := range s.Fields {
		rest, below := strings.CutPrefix(f.Name, prefix)
		if !below {
			continue
		}
		if group, _, nested := strings.Cut(rest, "."); nested {
			if !groups[group] {
				groups[group] = true
				c := Completion{Label: group, Kind: "group", Detail: group + " { … }", Insert: group + " {", Snippet: group + " {\n  $0\n}", Rank: 1}
				if object {
					c.Insert, c.Snippet = group+" = {", group+" = {\n  $0\n}"
				}
				out = append(out, c)
			}
			continue
		}
		c := Completion{Label: rest, Kind: "field", Detail: fieldDetail(f), Doc: f.Markdown()}
		assign(&c, rest, equals, fieldWords(f), f.Type == schema.Boolean, fieldDefault(f))
		out = append(out, c)
	}
	return out
}

func fieldWords(f schema.Field) []string {
	if f.Type != schema.Select && f.Type != schema.List {
		return nil
	}
	words := make([]string, len(f.Options))
	for i, o := range f.Options {
		words[i] = o.Value
	}
	return words
}

func fieldDefault(f schema.Field) string {
	if f.Default == nil {
		return ""
	}
	return schema.Format(f.Default)
}

// fieldDetail is a field in a few words: integer 1 to 100, default 3 (epochs).
func fieldDetail(f schema.Field) string {
	out := string(f.Type)
	switch {
	case f.Min != nil && f.Max != nil:
		out += " " + schema.Format(*f.Min) + " to " + schema.Format(*f.Max)
	case f.Min != nil:
		out += " >= " + schema.Format(*f.Min)
	case f.Max != nil:
		out += " <= " + schema.Format(*f.Max)
	}
	if f.Unit != "" {
		out += " " + f.Unit
	}
	if f.Default != nil {
		out += ", default " + schema.Format(f.Default)
	}
	return out
}

// labelsOf lists the types of executor, artifacts, tracker and notify blocks.
func labelsOf(p place) []Completion {
	if len(p.blocks) > 0 || len(p.header) != 1 || typed[p.header[0]] == nil {
		return nil
	}
	return quotedItems(sortedKeys(typed[p.header[0]]), p.quoted, p.header[0]+" type")
}

func quotedItems(words []string, quoted bool, detail string) []Completion {
	out := make([]Completion, len(words))
	for i, w := range words {
		out[i] = Completion{Label: w, Kind: "value", Detail: detail, Insert: w}
		if !quoted {
			out[i].Insert = fmt.Sprintf("%q", w)
		}
	}
	return out
}

// keysOf lists keys of objects: axes of a matrix, config fields, splits.
func (d *Draft) keysOf(p place) []Completion {
	kinds := p.kinds()
	if prefix, ok := p.config(); ok {
		return d.fieldsAt(p.blocks[0], prefix, p.equals, true)
	}
	switch {
	case p.isAxes() && len(p.keys) == 0:
		paths := slices.Clone(axisPaths)
		adapter, task := "native", ""
		if len(p.blocks[0].labels) > 0 {
			adapter, task = d.trainSchema(p.blocks[0].labels[0])
		}
		if s, _, ok := d.m.opts.Catalog.Schema(adapter, task); ok {
			for _, name := range s.Names() {
				paths = append(paths, "config."+name)
			}
		}
		return quotedItems(paths, p.quoted, "axis")
	case slices.Equal(kinds, []string{"dataset"}) && p.argument == "paths":
		return quotedItems(splitNames, true, "split")
	}
	return nil
}

// isAxes says that the cursor is in a matrix, or in the space of a sweep.
func (p place) isAxes() bool {
	kinds := p.kinds()
	return slices.Equal(kinds, []string{"train"}) && p.argument == "matrix" || slices.Equal(kinds, []string{"train", "sweep"}) && p.argument == "space"
}

// written lists what the block around a cursor holds already.
func (d *Draft) written(at Cursor) map[string]bool {
	out := map[string]bool{}
	file := d.m.files[at.File]
	if file == nil {
		return out
	}
	body, _ := file.Body.(*hclsyntax.Body)
	for body != nil {
		i := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool {
			return b.OpenBraceRange.End.Byte <= at.Byte && at.Byte <= b.CloseBraceRange.Start.Byte
		})
		if i < 0 {
			break
		}
		body = body.Blocks[i].Body
	}
	if body == nil {
		return out
	}
	for name, a := range body.Attributes {
		out[name] = at.Byte < a.SrcRange.Start.Byte || at.Byte > a.SrcRange.End.Byte
	}
	for _, b := range body.Blocks {
		out[b.Type] = at.Byte < b.TypeRange.Start.Byte || at.Byte > b.TypeRange.End.Byte
	}
	return out
}

// valuesOf lists what may be written as a value, or after a dot.
func (d *Draft) valuesOf(p place, at Cursor) []Completion {
	replace := func(out []Completion, from int) []Completion {
		for i := range out {
			out[i].From, out[i].To = from, max(p.word[1], at.Byte)
		}
		return out
	}
	if p.quoted {
		if i := strings.LastIndex(p.before, `["`); i >= 0 {
			return replace(quotedItems(d.instanceKeys(p.before[:i]), true, "instance"), p.word[0])
		}
		return replace(d.words(p, true), p.word[0])
	}
	if i := strings.LastIndexByte(p.before, '.'); i >= 0 {
		return replace(d.members(p.before[:i]), at.Byte-len(p.before)+i+1)
	}
	out := d.words(p, false)
	out = append(out, d.references(p)...)
	for _, name := range d.m.names {
		out = append(out, Completion{Label: name, Kind: "function", Detail: d.signature(name), Doc: d.m.functions[name].Description(), Insert: name + "(", Snippet: name + "($0)", Rank: 4})
	}
	return replace(out, at.Byte-len(p.before))
}

// words lists the texts, numbers and truths that fit a place.
func (d *Draft) words(p place, quoted bool) []Completion {
	if field, ok := d.fieldHere(p); ok {
		return fieldItems(field, quoted)
	}
	name := p.argument
	if p.isAxes() && len(p.keys) > 0 {
		name = p.keys[0]
	}
	spec := p.spec()
	if spec == nil {
		return nil
	}
	switch kind := spec.Type; {
	case kind == "model" && name == "adapter":
		return d.adapterItems(quoted)
	case kind == "model" && name == "name":
		return d.modelItems(p, quoted)
	case kind == "train" && name == "preset":
		adapter, task := d.trainSchema(first(p.blocks[0].labels))
		_, presets, _ := d.m.opts.Catalog.Schema(adapter, task)
		return quotedItems(presets.Names(), quoted, "preset of "+adapter)
	case name == "monitor" || name == "metric":
		_, task := d.trainSchema(first(p.blocks[0].labels))
		return quotedItems(metricNames[task], quoted, "metric")
	case slices.Contains(spec.Flags, name) && !quoted:
		return truths()
	}
	return quotedItems(spec.Words[name], quoted, name)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func truths() []Completion {
	return []Completion{{Label: "true", Kind: "value", Insert: "true"}, {Label: "false", Kind: "value", Insert: "false"}}
}

// fieldHere is the config field whose value is written at a place.
func (d *Draft) fieldHere(p place) (schema.Field, bool) {
	if len(p.blocks) == 0 {
		return schema.Field{}, false
	}
	name, ok := p.config()
	if !ok && p.isAxes() && len(p.keys) > 0 {
		if name, ok = strings.CutPrefix(p.keys[0], "config."); !ok && p.keys[0] == "learning_rate" {
			name, ok = schema.LearningRate, true
		}
	}
	if !ok {
		return schema.Field{}, false
	}
	return d.field(first(p.blocks[0].labels), name)
}

// field is a field of a train step's config.
func (d *Draft) field(train, name string) (schema.Field, bool) {
	adapter, task := d.trainSchema(train)
	s, _, ok := d.m.opts.Catalog.Schema(adapter, task)
	if !ok {
		return schema.Field{}, false
	}
	return s.Field(name)
}

func fieldItems(f schema.Field, quoted bool) []Completion {
	if f.Type == schema.Boolean && !quoted {
		return truths()
	}
	var out []Completion
	for _, o := range f.Options {
		c := quotedItems([]string{o.Value}, quoted, o.Label)[0]
		c.Doc = o.Description
		out = append(out, c)
	}
	if len(out) == 0 && f.Default != nil && !quoted {
		text := schema.Format(f.Default)
		out = append(out, Completion{Label: text, Kind: "value", Detail: "default", Doc: f.Markdown(), Insert: text})
	}
	return out
}

func (d *Draft) adapterItems(quoted bool) []Completion {
	var out []Completion
	for _, a := range d.m.opts.Catalog.Adapters() {
		c := quotedItems([]string{a.Name}, quoted, a.License)[0]
		c.Doc = adapterDoc(a)
		out = append(out, c)
	}
	return out
}

func adapterDoc(a Adapter) string {
	return fmt.Sprintf("Adapter `%s`, %s: %s; datasets in %s; runs on %s.", a.Name, a.License, join(a.Tasks, "and"), join(a.Formats, "and"), join(a.Devices, "and"))
}

// modelItems lists the models of the adapter that the model block names.
func (d *Draft) modelItems(p place, quoted bool) []Completion {
	adapter, task := "native", ""
	if n := d.m.nodes["model."+first(p.blocks[0].labels)]; n != nil && n.block != nil {
		decl := d.m.evaluator(nil).model(n.block.name())
		adapter = decl.adapter
		if n.block.attrs["task"] != nil {
			task = decl.task
		}
	}
	var out []Completion
	for _, x := range d.m.opts.Catalog.Models(adapter, task) {
		out = append(out, quotedItems([]string{x.Name}, quoted, modelDetail(x))...)
	}
	return out
}

func modelDetail(x Model) string {
	parts := slices.Clone(x.Tasks)
	if x.ImageSize > 0 {
		parts = append(parts, fmt.Sprintf("%d px", x.ImageSize))
	}
	if x.Pretrained {
		parts = append(parts, "pretrained")
	}
	if x.License != "" {
		parts = append(parts, x.License)
	}
	return strings.Join(parts, ", ")
}

// wanted are the kinds of blocks that an argument refers to.
var wanted = map[string][]string{
	"model": {"model"}, "dataset": {"dataset"}, "executor": {"executor"}, "union": {"dataset"},
	"checkpoint": {"train"}, "weights": {"train"}, "depends_on": {"step", "train", "evaluate", "export"}, "for_each": {"train", "local", "var"},
	"condition": {"train", "evaluate"}, "value": {"train", "evaluate", "export", "step"},
	"from": {"train", "evaluate", "export", "step"}, "to": {"train", "evaluate", "export", "step"},
}

// references lists what else is declared, those first that the argument takes.
func (d *Draft) references(p place) []Completion {
	name := p.argument
	if p.isAxes() && len(p.keys) > 0 {
		name = p.keys[0]
	}
	kinds := wanted[name]
	if len(p.blocks) > 0 && p.blocks[0].kind == "model" && name == "name" {
		kinds = nil
	}
	var out []Completion
	for _, root := range roots {
		if root == "each" {
			continue
		}
		names := d.names(root)
		if len(names) == 0 {
			continue
		}
		fits := slices.Contains(kinds, root)
		for _, n := range names {
			if address := root + "." + n; fits && !slices.ContainsFunc(p.blocks, func(b opened) bool { return b.kind == root && first(b.labels) == n }) {
				insert := address
				if (name == "checkpoint" || name == "weights") && root == "train" {
					insert += ".best"
				}
				out = append(out, Completion{Label: insert, Kind: "reference", Detail: d.describe(address), Insert: insert, Rank: 1})
			}
		}
		if !slices.Contains([]string{"model", "dataset", "executor"}, name) || fits {
			out = append(out, Completion{Label: root, Kind: "reference", Detail: "references to " + noun(root) + " blocks", Insert: root + ".", Rank: 3})
		}
	}
	return out
}

// describe is a declared block in a few words.
func (d *Draft) describe(address string) string {
	n := d.m.nodes[address]
	if n == nil || n.block == nil {
		return ""
	}
	switch n.block.spec {
	case modelBlock:
		decl := d.m.evaluator(nil).model(n.block.name())
		return strings.Trim(decl.adapter+" "+decl.spec.Name, " ")
	case datasetBlock:
		return d.m.evaluator(nil).dataset(n.block.name()).spec.Format
	}
	return n.block.spec.header()
}

// instanceKeys are those of a step with matrix or for_each.
func (d *Draft) instanceKeys(reference string) []string {
	n := d.m.nodes[reference]
	if n == nil || !n.expanded.multiple || n.expanded.unknown {
		return nil
	}
	return n.expanded.keys()
}

// members lists what may follow a reference and a dot.
func (d *Draft) members(reference string) []Completion {
	steps := splitReference(reference)
	root := steps[0]
	item := func(names []string, detail string) []Completion {
		var out []Completion
		for _, n := range names {
			out = append(out, Completion{Label: n, Kind: "reference", Detail: detail, Insert: n})
		}
		return out
	}
	switch {
	case root == "each" && len(steps) == 1:
		return item([]string{"key", "value"}, "of for_each")
	case !slices.Contains(roots, root):
		return nil
	case root == "executor" && len(steps) == 1:
		var kinds []string
		for _, n := range d.names(root) {
			if kind, _, _ := strings.Cut(n, "."); !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
		return item(kinds, "executor type")
	case root == "executor" && len(steps) == 2:
		var names []string
		for _, n := range d.names(root) {
			if rest, ok := strings.CutPrefix(n, steps[1]+"."); ok {
				names = append(names, rest)
			}
		}
		return item(names, "executor")
	case len(steps) == 1:
		out := item(d.names(root), "")
		for i := range out {
			out[i].Detail = d.describe(root + "." + out[i].Label)
		}
		return out
	}
	depth := depth(root)
	address := strings.Join(steps[:depth+1], ".")
	n := d.m.nodes[address]
	if n != nil && n.stepKind() != "" {
		if known := d.resultNames(n, steps[2:]); known != nil {
			return item(known, "")
		}
	}
	if !d.m.known(address) {
		return nil
	}
	v := d.m.evaluator(nil).value(address)
	for _, step := range steps[depth+1:] {
		v = stepInto(v, step)
	}
	ty := v.Type()
	if !ty.IsObjectType() {
		return nil
	}
	var out []Completion
	for _, name := range sortedKeys(ty.AttributeTypes()) {
		if hclsyntax.ValidIdentifier(name) {
			out = append(out, Completion{Label: name, Kind: "reference", Detail: ty.AttributeType(name).FriendlyName(), Insert: name})
		}
	}
	return out
}

// resultNames lists the metrics and outputs of a step that are known by name.
func (d *Draft) resultNames(n *node, steps []string) []string {
	if n.expanded.multiple && len(steps) > 0 {
		steps = steps[1:]
	}
	if len(steps) == 0 {
		return nil
	}
	switch steps[len(steps)-1] {
	case "metrics", "last_metrics":
		trains := []*node{n}
		if n.stepKind() != pipelines.KindTrain {
			trains = d.m.trainsBehind(n.block)
		}
		for _, t := range trains {
			_, task := d.trainSchema(t.block.name())
			return metricNames[task]
		}
		return allMetrics()
	case "outputs":
		if a := n.block.attrs["outputs"]; a != nil {
			var names []string
			pairs, _ := hcl.ExprMap(a.Expr)
			for _, p := range pairs {
				if k, diags := p.Key.Value(nil); !diags.HasErrors() {
					names = append(names, stringOf(k))
				}
			}
			return names
		}
	}
	return nil
}

// stepInto is an attribute or element of a value, unknown where it is not clear.
func stepInto(v cty.Value, name string) cty.Value {
	v, _ = v.Unmark()
	switch ty := v.Type(); {
	case ty.IsObjectType() && ty.HasAttribute(name):
		if !v.IsKnown() || v.IsNull() {
			return cty.UnknownVal(ty.AttributeType(name))
		}
		return v.GetAttr(name)
	case ty.IsMapType():
		return cty.UnknownVal(ty.ElementType())
	}
	return cty.DynamicVal
}

// splitReference takes train.x["key"].best apart.
func splitReference(text string) []string {
	var out []string
	for text != "" {
		switch {
		case strings.HasPrefix(text, `["`):
			end := strings.Index(text, `"]`)
			if end < 0 {
				return append(out, text)
			}
			out, text = append(out, text[2:end]), text[end+2:]
		default:
			text = strings.TrimPrefix(text, ".")
			end := strings.IndexAny(text, ".[")
			if end < 0 {
				end = len(text)
			}
			out, text = append(out, text[:end]), text[end:]
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// signature is a function with its parameters.
func (d *Draft) signature(name string) string {
	f := d.m.functions[name]
	var params []string
	for _, p := range f.Params() {
		params = append(params, p.Name)
	}
	if rest := f.VarParam(); rest != nil {
		params = append(params, rest.Name+"…")
	}
	return name + "(" + strings.Join(params, ", ") + ")"
}
