package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// evalLiteral evaluates an expression that may refer to nothing and call nothing.
func evalLiteral(expr hclsyntax.Expression) (cty.Value, hcl.Diagnostics) {
	watching(expr.Range())
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		for _, d := range diags {
			if len(expr.Variables()) > 0 {
				d.Summary, d.Detail = "Value must be literal", "Values of variables are written out: no references and no function calls."
			}
		}
		return cty.DynamicVal, diags[:1]
	}
	return v, diags
}

func (m *module) environmentValues(found map[string]given) {
	for name, in := range m.inputs {
		if text, ok := m.opts.environ("RUNNER_VAR_" + name); ok {
			m.textValue(found, in, text, "environment", "RUNNER_VAR_"+name)
		}
	}
}

// fileValues reads the variables files that load by themselves, then those of --var-file.
func (m *module) fileValues(found map[string]given, files []pipelines.Source) {
	for _, path := range m.opts.VarFiles {
		text, err := readFile(path)
		if err != nil {
			m.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read variables file", Detail: fmt.Sprintf("--var-file=%s: %s.", path, err)})
			continue
		}
		files = append(files[:len(files):len(files)], pipelines.Source{Filename: path, Text: text})
	}
	for _, src := range files {
		file, diags := parse(src)
		m.files[src.Filename] = file
		m.add(diags...)
		body, ok := file.Body.(*hclsyntax.Body)
		if !ok || diags.HasErrors() {
			continue
		}
		m.add(meter(body, m.budget)...)
		for _, b := range body.Blocks {
			m.add(failure(b.TypeRange, "Unsupported block", "A variables file holds NAME = VALUE lines only."))
		}
		for _, a := range sortedAttributes(body) {
			if m.inputs[a.Name] == nil {
				m.add(warning(a.NameRange, "Value for undeclared variable", "The pipeline declares no variable %q, so this value is not used.%s", a.Name, didYouMean(a.Name, m.variableNames())))
				continue
			}
			v, diags := evalLiteral(a.Expr)
			m.add(diags...)
			if !diags.HasErrors() {
				found[a.Name] = given{v, "file", a.Expr.Range().Ptr()}
			}
		}
	}
}

func (m *module) commandLineValues(found map[string]given) {
	for _, arg := range m.opts.Vars {
		name, text, ok := strings.Cut(arg, "=")
		name = strings.TrimSpace(name)
		in := m.inputs[name]
		switch {
		case !ok:
			m.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid --var", Detail: fmt.Sprintf("--var takes NAME=VALUE, and %q has no equals sign.", name)})
		case in == nil:
			m.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Value for undeclared variable", Detail: fmt.Sprintf("--var gives a value to %q, which the pipeline does not declare.%s", name, didYouMean(name, m.variableNames()))})
		default:
			m.textValue(found, in, text, "--var", "--var "+name)
		}
	}
}

func (m *module) variableNames() []string { return slices.Sorted(maps.Keys(m.inputs)) }

// textValue takes a value from text: as it is for strings, numbers, booleans
// and untyped variables, as an HCL expression for lists, maps and objects.
func (m *module) textValue(found map[string]given, in *input, text, source, name string) {
	if len(text) > maxString {
		m.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid value for variable", Detail: fmt.Sprintf("The value of %s has more than %d bytes.", name, maxString)})
		return
	}
	if in.ty.IsPrimitiveType() || in.ty == cty.DynamicPseudoType {
		if d := checkNumberText(in, text, name); d != nil {
			m.add(d)
			return
		}
		found[in.name] = given{cty.StringVal(text), source, nil}
		return
	}
	filename := "<" + name + ">"
	if !in.sensitive {
		m.files[filename] = &hcl.File{Bytes: []byte(text)}
	}
	diags := guard([]byte(text), filename)
	if diags.HasErrors() {
		m.add(diags...)
		return
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), filename, hcl.InitialPos)
	if !diags.HasErrors() {
		diags = append(diags, meter(expr, m.budget)...)
	}
	m.add(diags...)
	if diags.HasErrors() {
		return
	}
	v, diags := evalLiteral(expr)
	m.add(diags...)
	if !diags.HasErrors() {
		found[in.name] = given{v, source, nil}
	}
}

// checkNumberText keeps 1e30000000 away from number conversion.
func checkNumberText(in *input, text, name string) *hcl.Diagnostic {
	if in.ty != cty.Number {
		return nil
	}
	if d := checkNumber(hclsyntax.Token{Bytes: []byte(strings.TrimSpace(text))}); d != nil {
		d.Subject, d.Summary = nil, "Invalid value for variable"
		d.Detail = name + ": " + d.Detail
		return d
	}
	return nil
}
