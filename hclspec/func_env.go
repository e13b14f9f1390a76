package hclspec

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// envFunc is env("X"[, default]): an environment variable as an ordinary string.
func envFunc(m *module) function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String, AllowNull: true},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, function.NewArgErrorf(2, "env takes a name and at most one default")
			}
			name := args[0].AsString()
			if err := m.readable("env", name); err != nil {
				return cty.UnknownVal(cty.String), err
			}
			if v, ok := m.opts.environ(name); ok {
				return text(v)
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return m.unset("env", name, cty.UnknownVal(cty.String))
		},
	})
}

// secretFunc is secret("X"): an environment variable that must not be seen.
func secretFunc(m *module) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if err := m.readable("secret", name); err != nil {
				return cty.UnknownVal(cty.String), err
			}
			if v, ok := m.opts.environ(name); ok {
				s, err := text(v)
				return s.Mark(sensitiveMark{}), err
			}
			return m.unset("secret", name, cty.UnknownVal(cty.String).Mark(sensitiveMark{}))
		},
	})
}

func text(s string) (cty.Value, error) {
	if len(s) > maxString {
		return cty.UnknownVal(cty.String), fmt.Errorf("the variable holds more than %d bytes", maxString)
	}
	return cty.StringVal(s), nil
}

// unset is the value of an environment variable that is not set: unknown
// while validating, an error otherwise.
func (m *module) unset(function, name string, unknown cty.Value) (cty.Value, error) {
	if m.opts.Validate {
		return unknown, nil
	}
	fix := fmt.Sprintf("Set it, or give a default: env(%q, \"…\").", name)
	if function == "secret" {
		fix = "Set it in the environment of the command."
	}
	return cty.UnknownVal(cty.String), &callError{"Environment variable is not set",
		fmt.Sprintf("%s(%q) reads the environment variable %s, which is not set. %s", function, name, name, fix)}
}
