package hclspec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec/schema"
)

var sweepBlock = &blockSpec{Type: "sweep", Required: []string{"space"}, Optional: []string{"strategy", "metric", "trials", "parallel"},
	Words: map[string][]string{"strategy": {"grid", "random", "tpe"}}}

// sweep checks a search over the config: every axis of its space names a
// field, and gives a list of values or { min max log step }.
func (s *scope) sweep(b, sweep *block, d *decoded) {
	s.oneOf(sweep, "strategy", "sweep.strategy")
	s.text(sweep, "metric", "sweep.metric", early)
	s.whole(sweep, "trials", "sweep.trials", 1, maxInstances)
	s.whole(sweep, "parallel", "sweep.parallel", 1, 1000)
	if b.attrs["matrix"] != nil {
		s.fail(sweep.head, "Contradicting arguments", "A train step has matrix or sweep, not both.")
	}
	if a := sweep.attrs["space"]; a != nil {
		s.sweepSpace(a.Expr, d)
	}
	s.e.m.notYet(s, sweep.head, "Sweeps are not part of this version.")
}

func (s *scope) sweepSpace(expr hcl.Expression, d *decoded) {
	pairs, diags := hcl.ExprMap(expr)
	if diags.HasErrors() || len(pairs) == 0 {
		s.fail(expr.Range(), "Invalid sweep", "\"space\" is written out as an object: { \"learning_rate\" = { min = 1e-4, max = 1e-2, log = true } }.")
		return
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		key, _ := p.Key.Value(nil)
		path := stringOf(key)
		field, isConfig := strings.CutPrefix(path, "config.")
		switch {
		case seen[canonical(path)]:
			s.fail(p.Key.Range(), "Duplicate axis", "The space already has the axis %q.", path)
		case path == "learning_rate":
			field, isConfig = schema.LearningRate, true
		case !contains(axisPaths, path) && !isConfig:
			s.fail(p.Key.Range(), "Unknown axis", "A sweep cannot vary %q; it varies %s, and config fields as \"config.FIELD\".%s", path, join(axisPaths, "and"), s.e.m.axisHint(path))
		}
		seen[canonical(path)] = true
		s.sweepAxis(path, field, isConfig, p, d)
	}
}

func (s *scope) sweepAxis(path, field string, isConfig bool, p hcl.KeyValuePair, d *decoded) {
	v, diags := p.Value.Value(nil)
	if diags.HasErrors() {
		return // it refers to something; its references are checked elsewhere
	}
	var values []any
	switch x := toGo(v, true).(type) {
	case []any:
		values = x
	case map[string]any:
		for _, name := range []string{"min", "max"} {
			if x[name] == nil {
				s.fail(p.Value.Range(), "Invalid sweep", "The axis %q needs a list of values, or min and max.", path)
				return
			}
			values = append(values, x[name])
		}
	default:
		s.fail(p.Value.Range(), "Invalid sweep", "The axis %q needs a list of values, or { min, max }.", path)
		return
	}
	if !isConfig || !d.ok {
		return
	}
	sch, _, ok := s.e.m.opts.Catalog.Schema(d.spec.Adapter, d.spec.Task)
	if !ok {
		return
	}
	f, ok := sch.Field(field)
	if !ok {
		s.fail(p.Key.Range(), schema.SummaryUnknownField, "%s", sch.UnknownDetail(field))
		return
	}
	for _, x := range values {
		if _, err := f.Check(x); err != nil {
			s.fail(p.Value.Range(), schema.SummaryInvalidValue, "%s", fmt.Sprintf("%s %s.", field, err))
		}
	}
}
