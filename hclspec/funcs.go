package hclspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func jsonMarshal(v any) ([]byte, error) { return json.Marshal(v) }

// functions are what expressions may call. All are pure but env, secret and file.
func functions(m *module) map[string]function.Function {
	plain := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "signum": stdlib.SignumFunc,
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "regexreplace": stdlib.RegexReplaceFunc, "replace": stdlib.ReplaceFunc,
		"split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc,
		"timeadd": stdlib.TimeAddFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc,
		"trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
		"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "csvdecode": stdlib.CSVDecodeFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "index": stdlib.IndexFunc,
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
		"lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc,
		"setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "sum": sumFunc,
		"values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		"tobool": stdlib.MakeToFunc(cty.Bool), "tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String),
		"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"env":   envFunc(m), "secret": secretFunc(m), "file": fileFunc(m), "best_of": bestOfFunc,
	}
	out := make(map[string]function.Function, len(plain)+2)
	for name, f := range plain {
		out[name] = budgeted(name, f, m.budget)
	}
	out["can"], out["try"] = tryfunc.CanFunc, tryfunc.TryFunc // they take expressions, which are metered themselves
	return out
}

// budgeted bounds what goes into a function and what comes out, and refuses
// calls whose result would be far larger than their arguments.
func budgeted(name string, f function.Function, b *budget) function.Function {
	params := f.Params()
	for i := range params { // cty drops the marks of unknown values that such a parameter takes
		params[i].AllowMarked = params[i].AllowMarked && params[i].AllowUnknown
	}
	rest := f.VarParam()
	if rest != nil {
		rest.AllowMarked = rest.AllowMarked && rest.AllowUnknown
	}
	return function.New(&function.Spec{
		Description: f.Description(), Params: params, VarParam: rest,
		Type: func(args []cty.Value) (cty.Type, error) {
			for _, a := range args {
				if err := b.check(a); err != nil {
					return cty.DynamicPseudoType, overBudget(err)
				}
			}
			if err := swells(name, args); err != nil {
				return cty.DynamicPseudoType, overBudget(err)
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f.Call(args)
			if err != nil {
				return v, err
			}
			if err := b.check(v); err != nil {
				return v, overBudget(err)
			}
			return v, nil
		},
	})
}

// callError is a function's error with a summary of its own.
type callError struct{ summary, detail string }

func (e *callError) Error() string { return e.detail }

func overBudget(err error) error {
	return &callError{summaryTooMuch, sentence(err) + "."}
}

// explainCalls gives errors of our own functions their summaries, names
// near functions, and keeps values that may be sensitive out of the text.
func explainCalls(diags hcl.Diagnostics, names []string, sensitive bool) hcl.Diagnostics {
	for _, d := range diags {
		if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && extra.FunctionCallError() != nil {
			var own *callError
			if errors.As(extra.FunctionCallError(), &own) {
				d.Summary, d.Detail = own.summary, own.detail
			} else if sensitive {
				d.Detail = fmt.Sprintf("Call to function %q failed. The reason is not shown because a sensitive value is involved.", extra.CalledFunctionName())
			}
		}
		if unknown, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallUnknownDiagExtra](d); ok {
			d.Summary = "Unknown function"
			d.Detail = fmt.Sprintf("There is no function %q.%s", unknown.CalledFunctionName(), didYouMean(unknown.CalledFunctionName(), names))
		}
		if sensitive {
			d.EvalContext, d.Expression = nil, nil
		}
	}
	return diags
}

// swells estimates results that dwarf their arguments.
func swells(name string, args []cty.Value) error {
	text := func(i int) string {
		if i >= len(args) {
			return ""
		}
		v, _ := args[i].UnmarkDeep()
		return stringOf(v)
	}
	switch name {
	case "format", "formatlist":
		return checkFormat(text(0))
	case "indent":
		if len(args) > 0 {
			if v, _ := args[0].UnmarkDeep(); v.IsKnown() && !v.IsNull() && v.Type() == cty.Number && v.GreaterThan(cty.NumberIntVal(100)).True() {
				return fmt.Errorf("indent takes at most 100 spaces")
			}
		}
	case "replace", "regexreplace":
		if times := len(text(0)) + 1; times*(len(text(2))+1) > 8*maxString {
			return fmt.Errorf("%s could make a string of more than %d bytes", name, maxString)
		}
	case "join":
		var n int
		for _, a := range args[min(1, len(args)):] {
			if a, _ := a.UnmarkDeep(); a.IsKnown() && !a.IsNull() && a.CanIterateElements() {
				for it := a.ElementIterator(); it.Next(); {
					_, e := it.Element()
					n += len(text(0)) + len(stringOf(e))
				}
			}
		}
		if n > maxString {
			return fmt.Errorf("join makes a string of more than %d bytes", maxString)
		}
	case "parseint":
		if len(text(0)) > maxDigits {
			return fmt.Errorf("parseint takes at most %d digits", maxDigits)
		}
	case "setproduct":
		n := 1
		for _, a := range args {
			if a, _ := a.UnmarkDeep(); a.IsKnown() && !a.IsNull() && a.CanIterateElements() {
				if n *= max(a.LengthInt(), 1); n*len(args) > maxElements {
					return fmt.Errorf("setproduct makes more than %d elements", maxElements)
				}
			}
		}
	case "jsondecode":
		depth, deepest := 0, 0
		for _, r := range text(0) {
			switch r {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			deepest = max(deepest, depth)
		}
		if deepest > maxDepth {
			return fmt.Errorf("jsondecode takes at most %d levels of nesting", maxDepth)
		}
	}
	return nil
}

// checkFormat refuses widths and precisions that would pad without end.
func checkFormat(f string) error {
	for rest := f; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
		verb := strings.TrimLeft(rest, "0123456789.+-# [],*")
		digits := 0
		for _, r := range rest[:len(rest)-len(verb)] {
			if r >= '0' && r <= '9' {
				if digits++; digits > 3 {
					return fmt.Errorf("a width or precision in format may be at most 999")
				}
			} else {
				digits = 0
			}
		}
	}
}

var sumFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "numbers", Type: cty.List(cty.Number)}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		total := cty.Zero
		for it := args[0].ElementIterator(); it.Next(); {
			_, n := it.Element()
			if n.IsNull() {
				return total, function.NewArgErrorf(0, "a number is null")
			}
			total = total.Add(n)
		}
		return convert.Convert(total, cty.Number)
	},
})
