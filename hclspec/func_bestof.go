package hclspec

import (
	"maps"
	"slices"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// bestOfFunc is best_of(train.x, "metric"[, "min"]): the instance with the
// best value of a metric; "max" is the default. Strictly better wins, so of
// equals the first by key; an instance without the metric, or with NaN, never does.
var bestOfFunc = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "instances", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowMarked: true, AllowDynamicType: true},
		{Name: "metric", Type: cty.String},
	},
	VarParam: &function.Parameter{Name: "mode", Type: cty.String},
	Type: func(args []cty.Value) (cty.Type, error) {
		if _, err := bestOfMode(args); err != nil {
			return cty.DynamicPseudoType, err
		}
		instances, _ := args[0].Unmark()
		switch {
		case instances.Type() == cty.DynamicPseudoType && !instances.IsKnown():
			return cty.DynamicPseudoType, nil
		case instances.IsNull() || !instances.Type().IsObjectType() || len(instances.Type().AttributeTypes()) == 0:
			return cty.DynamicPseudoType, notInstances()
		}
		result := cty.DynamicPseudoType
		for _, ty := range instances.Type().AttributeTypes() {
			if !ty.IsObjectType() || !ty.HasAttribute("metrics") {
				return cty.DynamicPseudoType, notInstances()
			}
			result = ty
		}
		return result, nil
	},
	Impl: func(args []cty.Value, ty cty.Type) (cty.Value, error) {
		instances, outer := args[0].Unmark()
		if !instances.IsKnown() || ty == cty.DynamicPseudoType {
			return cty.UnknownVal(ty).WithMarks(outer), nil
		}
		if _, m := unmark(instances); len(m.late) > 0 {
			_, deep := instances.UnmarkDeep()
			return cty.UnknownVal(ty).WithMarks(outer, deep), nil
		}
		mode, _ := bestOfMode(args)
		best, bestValue := cty.NilVal, cty.NilVal
		all := instances.AsValueMap()
		for _, key := range slices.Sorted(maps.Keys(all)) {
			v, ok := all[key].GetAttr("metrics").AsValueMap()[args[1].AsString()]
			if !ok || v.IsNull() {
				continue
			}
			if best == cty.NilVal || mode == "max" && v.GreaterThan(bestValue).True() || mode == "min" && v.LessThan(bestValue).True() {
				best, bestValue = all[key], v
			}
		}
		if best == cty.NilVal {
			return cty.UnknownVal(ty), &callError{"No best instance", "No instance has the metric \"" + args[1].AsString() + "\". Look at the names with: runner show"}
		}
		return best.WithMarks(outer), nil
	},
})

func bestOfMode(args []cty.Value) (string, error) {
	switch {
	case len(args) < 3:
		return "max", nil
	case len(args) > 3:
		return "", function.NewArgErrorf(3, "best_of takes instances, a metric and at most one mode")
	}
	if s := stringOf(args[2]); s == "min" || s == "max" || !args[2].IsKnown() {
		return s, nil
	}
	return "", function.NewArgErrorf(2, `the mode must be "min" or "max"`)
}

func notInstances() error {
	return function.NewArgErrorf(0, "best_of picks from the instances of a step with matrix or for_each: best_of(train.NAME, \"accuracy\")")
}
