package schema

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Unknown stands for a written value that cannot be known yet (an unset
// environment variable while validating). It passes every check.
type Unknown struct{}

// Check validates v against the field's type, bounds and options and returns
// it in the field's own Go type: string, float64, int64, bool or []any. nil
// (unset) and Unknown pass as they are. Step is never a rule. The error says
// what is wrong and what is allowed, without the field's name.
func (f Field) Check(v any) (any, error) {
	switch v.(type) {
	case nil, Unknown:
		return v, nil
	}
	switch f.Type {
	case Select:
		return f.checkSelect(v)
	case Number:
		x, ok := toFloat(v)
		if !ok {
			return nil, fmt.Errorf("must be a number, not %s", describe(v))
		}
		return x, f.checkBounds(x)
	case Integer:
		x, ok := toInt(v)
		if !ok {
			return nil, fmt.Errorf("must be a whole number, not %s", describe(v))
		}
		return x, f.checkBounds(float64(x))
	case Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("must be true or false, not %s", describe(v))
	case String:
		if s, ok := v.(string); ok {
			return s, nil
		}
		return nil, fmt.Errorf("must be a string, not %s", describe(v))
	case List:
		return f.checkList(v)
	}
	return nil, fmt.Errorf("has the unknown type %q in the adapter's schema", f.Type)
}

func (f Field) checkSelect(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("must be one of %s, not %s", f.OptionList(), describe(v))
	}
	values := f.optionValues()
	if slices.Contains(values, s) {
		return s, nil
	}
	hint := ""
	if near := Nearest(s, values); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return nil, fmt.Errorf("must be one of %s, not %q.%s", f.OptionList(), s, hint)
}

func (f Field) checkList(v any) (any, error) {
	items, ok := toList(v)
	if !ok {
		return nil, fmt.Errorf("must be a list, not %s", describe(v))
	}
	options := f.optionValues()
	out := make([]any, len(items))
	for i, item := range items {
		switch x := item.(type) {
		case string:
			if len(options) > 0 && !slices.Contains(options, x) {
				return nil, fmt.Errorf("may hold only %s, not %q", f.OptionList(), x)
			}
			out[i] = x
		case bool:
			out[i] = x
		default:
			n, ok := toFloat(item)
			if !ok {
				return nil, fmt.Errorf("may hold strings, numbers and booleans only; element %d is %s", i, describe(item))
			}
			if err := f.checkBounds(n); err != nil {
				return nil, fmt.Errorf("element %d %w", i, err)
			}
			out[i] = n
		}
	}
	return out, nil
}

func (f Field) checkBounds(x float64) error {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return fmt.Errorf("must be a finite number")
	case f.Min != nil && f.Max != nil && (x < *f.Min || x > *f.Max):
		return fmt.Errorf("must be between %s and %s, not %s", Format(*f.Min), Format(*f.Max), Format(x))
	case f.Min != nil && x < *f.Min:
		return fmt.Errorf("must be at least %s, not %s", Format(*f.Min), Format(x))
	case f.Max != nil && x > *f.Max:
		return fmt.Errorf("must be at most %s, not %s", Format(*f.Max), Format(x))
	}
	return nil
}

// OptionList renders the allowed values for people: "adam", "adamw" or "sgd".
func (f Field) OptionList() string { return QuotedList(f.optionValues(), "or") }

func (f Field) optionValues() []string {
	values := make([]string, len(f.Options))
	for i, o := range f.Options {
		values[i] = o.Value
	}
	return values
}

// QuotedList joins quoted words for people: "a", "b" or "c".
func QuotedList(words []string, conjunction string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " " + conjunction + " " + quoted[last]
}

// Format renders a value as a user would write it in HCL.
func Format(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case Unknown:
		return "(unknown)"
	case string:
		return strconv.Quote(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = Format(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// Equal compares two values; numbers compare by value whatever their Go type.
func Equal(a, b any) bool {
	if x, ok := toFloat(a); ok {
		y, ok := toFloat(b)
		return ok && x == y
	}
	if x, ok := toList(a); ok {
		y, ok := toList(b)
		return ok && slices.EqualFunc(x, y, Equal)
	}
	switch a.(type) {
	case nil, string, bool, Unknown:
		return a == b
	}
	return false
}

func describe(v any) string {
	if m, ok := v.(map[string]any); ok {
		return fmt.Sprintf("a group of %d settings", len(m))
	}
	switch v.(type) {
	case string:
		return "the string " + Format(v)
	case []any:
		return "a list"
	}
	return Format(v)
}

func toFloat(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case float32:
		return float64(x), true
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	}
	return 0, false
}

// toInt takes whole numbers that a float64 holds exactly.
func toInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int:
		return int64(x), true
	case int64:
		return x, true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) <= 1<<53 {
			return int64(x), true
		}
	}
	return 0, false
}

func toList(v any) ([]any, bool) {
	switch x := v.(type) {
	case []any:
		return x, true
	case []string:
		out := make([]any, len(x))
		for i, s := range x {
			out[i] = s
		}
		return out, true
	case []float64:
		out := make([]any, len(x))
		for i, f := range x {
			out[i] = f
		}
		return out, true
	case []int:
		out := make([]any, len(x))
		for i, n := range x {
			out[i] = n
		}
		return out, true
	}
	return nil, false
}
