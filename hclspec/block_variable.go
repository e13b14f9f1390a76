package hclspec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/trainwright/trainwright/pipelines"
)

var variableBlock = &blockSpec{
	Type: "variable", Labels: []string{"name"},
	Optional: []string{"type", "default", "description", "sensitive", "nullable"},
	Flags:    []string{"sensitive", "nullable"},
	Blocks:   []*blockSpec{validationBlock},
}

var validationBlock = &blockSpec{Type: "validation", Required: []string{"condition", "error_message"}, Many: true}

// input is a declared variable.
type input struct {
	name      string
	block     *block
	ty        cty.Type
	defaults  *typeexpr.Defaults
	sensitive bool
	nullable  bool
	value     cty.Value // marked when sensitive
	source    string    // default | environment | file | --var
}

func (m *module) addVariable(b *block) {
	in := &input{name: b.name(), block: b, ty: cty.DynamicPseudoType, nullable: true, value: cty.DynamicVal}
	if first, ok := m.inputs[in.name]; ok {
		m.add(failure(b.head, "Duplicate name", "var.%s is already declared at %s:%d. Names must be unique within their type.", in.name, first.block.head.Filename, first.block.head.Start.Line))
		return
	}
	m.inputs[in.name] = in
	if a, ok := b.attrs["type"]; ok {
		ty, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		m.add(diags...)
		if !diags.HasErrors() {
			in.ty, in.defaults = ty, defaults
		}
	}
	in.sensitive = m.flag(b, "sensitive", false)
	in.nullable = m.flag(b, "nullable", true)
}

// flag reads a literal true or false.
func (m *module) flag(b *block, name string, otherwise bool) bool {
	a, ok := b.attrs[name]
	if !ok {
		return otherwise
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.Bool || v.IsNull() || !v.IsKnown() {
		m.add(failure(a.Expr.Range(), "Invalid value", "%q must be written as true or false.", name))
		return otherwise
	}
	return v.True()
}

// given is a value that somebody gave to a variable.
type given struct {
	value  cty.Value
	source string
	at     *hcl.Range // nil on the command line and in the environment
}

// setVariables gives every variable its value: default < environment < files
// in order < --var in order < Options.Values.
func (m *module) setVariables(auto []pipelines.Source) {
	found := map[string]given{}
	m.environmentValues(found)
	m.fileValues(found, auto)
	m.commandLineValues(found)
	for name, v := range m.opts.Values {
		if value, err := fromGo(v); err == nil {
			found[name] = given{value, "--var", nil}
		}
	}
	for _, b := range m.blocksOf("variable") {
		if in := m.inputs[b.name()]; in.block == b {
			m.setVariable(in, found)
		}
	}
	for _, b := range m.blocksOf("variable") {
		m.validateVariable(b)
	}
}

func (m *module) setVariable(in *input, found map[string]given) {
	g, ok := found[in.name]
	if a, has := in.block.attrs["default"]; has {
		v, diags := evalLiteral(a.Expr)
		m.add(diags...)
		converted, ok2 := m.convertVariable(in, given{v, "default", a.Expr.Range().Ptr()})
		if !ok {
			g, ok = given{converted, "default", nil}, ok2
			if !ok2 {
				return
			}
		}
	}
	if !ok {
		if !m.opts.Validate {
			m.add(failure(in.block.head, "No value for variable", "var.%s has no default and was given no value. Give one with --var '%s=VALUE', in a --var-file, or as RUNNER_VAR_%s.", in.name, in.name, in.name))
		}
		in.value = cty.UnknownVal(in.ty)
	} else if v, ok := m.convertVariable(in, g); ok {
		in.value, in.source = v, g.source
	} else {
		in.value = cty.UnknownVal(in.ty)
	}
	if in.sensitive {
		in.value = in.value.Mark(sensitiveMark{})
	}
}

func (m *module) convertVariable(in *input, g given) (cty.Value, bool) {
	v := g.value
	if in.defaults != nil && v.IsKnown() && !v.IsNull() {
		v = in.defaults.Apply(v)
	}
	v, err := convert.Convert(v, in.ty)
	switch {
	case err != nil:
		reason := err.Error()
		if in.sensitive {
			reason = "the value does not have the declared type"
		}
		m.invalidVariable(in, g, fmt.Sprintf("The value given by %s does not fit var.%s: %s. It must be %s.", origin(g), in.name, reason, typeexpr.TypeString(in.ty)))
		return cty.NilVal, false
	case v.IsNull() && !in.nullable:
		m.invalidVariable(in, g, fmt.Sprintf("var.%s may not be null, because nullable = false.", in.name))
		return cty.NilVal, false
	}
	if err := m.budget.check(v); err != nil {
		m.invalidVariable(in, g, fmt.Sprintf("The value of var.%s is too large: %s.", in.name, err))
		return cty.NilVal, false
	}
	return v, true
}

func (m *module) invalidVariable(in *input, g given, detail string) {
	at := in.block.head
	if g.at != nil {
		at = *g.at
	}
	m.add(failure(at, "Invalid value for variable", "%s", detail))
}

func origin(g given) string {
	switch g.source {
	case "environment":
		return "the environment"
	case "file":
		return "the variables file"
	case "default":
		return "default"
	}
	return g.source
}

// validateVariable evaluates the validation blocks of a variable.
func (m *module) validateVariable(b *block) {
	for _, v := range b.blocks["validation"] {
		for _, r := range v.refs {
			if r.traversal.RootName() != "var" {
				m.broken[r.traversal.SourceRange()] = true
				m.add(failure(r.traversal.SourceRange(), "Reference not allowed", "A validation may refer to variables only."))
				continue
			}
			m.checkNames([]reference{r}, false)
		}
		s := m.static.scope(nil)
		s.allowSensitive = true
		ok, known := s.boolean(v, "condition", "condition")
		message, _ := s.text(v, "error_message", "error_message", early)
		if s.sensitive {
			message = "The value is not allowed (the message is sensitive)."
		}
		if known && !ok {
			s.fail(v.at("condition"), "Invalid value for variable", "var.%s: %s", b.name(), message)
		}
		m.add(s.diags...)
	}
}
