package hclspec

import (
	"fmt"
	"math/big"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/trainwright/trainwright/hclspec/schema"
)

// toGo turns an unmarked value into plain Go: string, float64, int64 for
// whole numbers when ints is set, bool, []any, map[string]any, nil; unknown
// becomes schema.Unknown.
func toGo(v cty.Value, ints bool) any {
	if v.IsNull() {
		return nil
	}
	if !v.IsKnown() {
		return schema.Unknown{}
	}
	switch ty := v.Type(); {
	case ty == cty.String:
		return v.AsString()
	case ty == cty.Bool:
		return v.True()
	case ty == cty.Number:
		return numberOf(v.AsBigFloat(), ints)
	case ty.IsObjectType() || ty.IsMapType():
		out := map[string]any{}
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			out[k.AsString()] = toGo(e, ints)
		}
		return out
	case v.CanIterateElements():
		out := []any{}
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			out = append(out, toGo(e, ints))
		}
		return out
	}
	return nil
}

func numberOf(f *big.Float, ints bool) any {
	if ints && f.IsInt() {
		if n, acc := f.Int64(); acc == big.Exact {
			return n
		}
	}
	x, _ := f.Float64()
	return x
}

// fromGo turns a plain Go value, as JSON would give it, into a cty value.
func fromGo(v any) (cty.Value, error) {
	text, err := jsonMarshal(v)
	if err != nil {
		return cty.NilVal, err
	}
	ty, err := ctyjson.ImpliedType(text)
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal(text, ty)
}

// show renders an unmarked value for people, cut short.
func show(v cty.Value) string {
	s := schema.Format(toGo(v, true))
	if v.IsKnown() && !v.IsNull() && (v.Type().IsObjectType() || v.Type().IsMapType()) {
		s = fmt.Sprintf("an object with %d attributes", v.LengthInt())
	}
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}

// instanceText renders a value inside an instance key: strings bare.
func instanceText(v cty.Value) string {
	if !v.IsNull() && v.IsKnown() && v.Type() == cty.Number {
		return v.AsBigFloat().Text('f', -1)
	}
	if s := stringOf(v); s != "" {
		return s
	}
	return show(v)
}
