package hclspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// configBlock holds whatever the adapter's schema names, nested by dotted prefix.
var configBlock = &blockSpec{Type: "config", Open: true}

// inactiveField is a written field that has no effect in one instance.
type inactiveField struct {
	field, reason string
	at            hcl.Range
}

// written is a config value and where it stands.
type written struct {
	schema.Written
	name hcl.Range // of the field's name, for unknown fields
	at   hcl.Range // of the value
}

// config resolves the effective config of one instance.
func (s *scope) config(b *block, d *decoded) {
	var all []written
	add := func(field string, v any, origin schema.Origin, name, at hcl.Range) {
		all = append(all, written{schema.Written{Field: field, Value: v, Origin: origin}, name, at})
	}
	rate := s.learningRate(b, add)
	all = append(all, s.configArgument(b)...)
	if c := b.one("config"); c != nil {
		if a := b.attrs["config"]; a != nil {
			s.fail(c.head, "Contradicting arguments", "config is given as an argument on line %d and as a block. Keep one of the two.", a.NameRange.Start.Line)
		}
		all = append(all, s.configBody(c.body, "")...)
	}
	if s.each != nil {
		for _, c := range s.each.cells {
			if field, ok := strings.CutPrefix(c.path, "config."); ok {
				add(field, toGo(c.value, true), schema.FromMatrix, c.at, c.at)
			}
		}
	}
	preset := s.preset(b)
	d.spec.Train.Preset = preset
	d.spec.Train.LearningRate = rate
	if !d.ok {
		return
	}
	sch, presets, ok := s.e.m.opts.Catalog.Schema(d.spec.Adapter, d.spec.Task)
	if !ok {
		return
	}
	if preset != "" && presets[preset] == nil {
		s.fail(b.at("preset"), "Unknown preset", "The adapter %q has no preset %q; there are %s.%s", d.spec.Adapter, preset, orList(presets.Names()), didYouMean(preset, presets.Names()))
	}
	s.resolve(sch, presets[preset], all, d)
}

// learningRate reads train's learning_rate, which is optimizer.learning_rate.
func (s *scope) learningRate(b *block, add func(string, any, schema.Origin, hcl.Range, hcl.Range)) float64 {
	rate := 0.0
	if x, ok := s.float(b, "learning_rate", "train.learning_rate", 0, 1e6); ok {
		rate = x
		add(schema.LearningRate, x, schema.FromTrain, b.at("learning_rate"), b.at("learning_rate"))
	}
	if c, ok := s.each.cell("learning_rate"); ok {
		s.ranges["train.learning_rate"] = toRange(c.at)
		if v, ok := s.admit(c.value, "learning_rate", "train.learning_rate", c.at, early); ok {
			if x, isNumber := toGo(v, false).(float64); isNumber {
				rate = x
			}
			add(schema.LearningRate, toGo(v, true), schema.FromMatrix, c.at, c.at)
		}
	}
	return rate
}

func (s *scope) preset(b *block) string {
	if c, ok := s.each.cell("preset"); ok {
		if v, ok := s.admit(c.value, "preset", "train.preset", c.at, early); ok {
			if v.Type() != cty.String {
				s.wrong(c.at, "preset", v, "a string")
				return ""
			}
			s.ranges["train.preset"] = toRange(c.at)
			return v.AsString()
		}
	}
	t, _ := s.text(b, "preset", "train.preset", early)
	return t
}

// resolve works out the effective values and reports what is wrong with the written ones.
func (s *scope) resolve(sch schema.Schema, preset map[string]any, all []written, d *decoded) {
	t := d.spec.Train
	if _, has := sch.Field(schema.LearningRate); !has {
		all = slices.DeleteFunc(all, func(w written) bool {
			return w.Field == schema.LearningRate && (w.Origin == schema.FromTrain || w.Origin == schema.FromMatrix)
		})
	}
	req := schema.Request{Preset: preset, Epochs: t.Epochs}
	for _, w := range all {
		req.Written = append(req.Written, w.Written)
	}
	effective, problems := sch.Resolve(req)
	for _, p := range problems {
		at := all[p.Written].at
		if p.Summary == schema.SummaryUnknownField {
			at = all[p.Written].name
			p.Detail += s.trainArgument(all[p.Written].Field)
		}
		s.fail(at, p.Summary, "%s", p.Detail)
	}
	t.Config = make(pipelines.Config, len(effective))
	for name, e := range effective {
		set := pipelines.Setting{Value: e.Value, Origin: pipelines.Origin(e.Origin), Inactive: e.Inactive, Derived: e.Derived, Replaced: e.Replaced}
		if e.Value == (schema.Unknown{}) {
			set.Value = nil
		}
		if e.Written >= 0 {
			set.Range = toRange(all[e.Written].at)
			s.ranges["train.config."+name] = set.Range
			if e.Inactive != "" {
				d.inactive = append(d.inactive, inactiveField{name, e.Inactive, all[e.Written].at})
			}
			if e.Replaced != nil { // the replaced value is written, too
				for _, w := range all {
					if w.Field == name && w.Origin != schema.FromMatrix && e.Inactive != "" {
						d.inactive = append(d.inactive, inactiveField{name, e.Inactive, w.at})
					}
				}
			}
		}
		t.Config[name] = set
	}
	if rate, ok := t.Config[schema.LearningRate].Value.(float64); ok {
		t.LearningRate = rate
	}
}

// trainArgument tells that an unknown config field is an argument of train.
func (s *scope) trainArgument(field string) string {
	last := field[strings.LastIndexByte(field, '.')+1:]
	if slices.Contains(trainBlock.attributes(), last) {
		return fmt.Sprintf(" %q belongs under block train.", last)
	}
	if slices.Contains(modelBlock.attributes(), last) {
		return fmt.Sprintf(" %q belongs under block model.", last)
	}
	return ""
}

// configBody flattens a config block: nested blocks are dotted prefixes.
func (s *scope) configBody(body *hclsyntax.Body, prefix string) []written {
	var out []written
	for _, a := range sortedAttributes(body) {
		v, diags := s.e.eval(a.Expr, s.each)
		s.diags = append(s.diags, diags...)
		if diags.HasErrors() {
			continue
		}
		out = append(out, s.flatten(v, prefix+a.Name, a.Expr, a.NameRange, a.Expr.Range())...)
	}
	first := map[string]*hclsyntax.Block{}
	for _, inner := range body.Blocks {
		if len(inner.Labels) > 0 {
			s.fail(inner.LabelRanges[0], "Extraneous block label", "Blocks in config have no labels: %s { … }", inner.Type)
		}
		if f := first[inner.Type]; f != nil {
			s.fail(inner.DefRange(), "Duplicate block", "config already has a group %q on line %d. Merge the two.", prefix+inner.Type, f.TypeRange.Start.Line)
			continue
		}
		if a := body.Attributes[inner.Type]; a != nil {
			s.fail(inner.DefRange(), "Duplicate block", "config already sets %q on line %d. Keep one of the two.", prefix+inner.Type, a.NameRange.Start.Line)
			continue
		}
		first[inner.Type] = inner
		out = append(out, s.configBody(inner.Body, prefix+inner.Type+".")...)
	}
	return out
}

// configArgument flattens config = { … } or config = merge(…).
func (s *scope) configArgument(b *block) []written {
	a := b.attrs["config"]
	if a == nil {
		return nil
	}
	v, diags := s.e.eval(a.Expr, s.each)
	s.diags = append(s.diags, diags...)
	if diags.HasErrors() {
		return nil
	}
	if bare, m := unmark(v); bare.IsKnown() && !bare.IsNull() && !m.sensitive && !bare.Type().IsObjectType() && !bare.Type().IsMapType() {
		s.wrong(a.Expr.Range(), "config", bare, "an object")
		return nil
	}
	return s.flatten(v, "", a.Expr, a.NameRange, a.Expr.Range())
}

// flatten turns nested objects into dotted fields. Ranges follow the source
// as long as the object is written out.
func (s *scope) flatten(v cty.Value, path string, expr hcl.Expression, name, at hcl.Range) []written {
	bare, outer := v.Unmark()
	if bare.IsKnown() && !bare.IsNull() && (bare.Type().IsObjectType() || bare.Type().IsMapType()) {
		entries := map[string]hcl.KeyValuePair{}
		if expr != nil {
			if pairs, diags := hcl.ExprMap(expr); !diags.HasErrors() {
				for _, p := range pairs {
					if k, d := p.Key.Value(nil); !d.HasErrors() {
						entries[stringOf(k)] = p
					}
				}
			}
		}
		var out []written
		values := bare.AsValueMap()
		for _, key := range slices.Sorted(maps.Keys(values)) {
			inner := key
			if path != "" {
				inner = path + "." + key
			}
			e := values[key].WithMarks(outer)
			if p, ok := entries[key]; ok {
				out = append(out, s.flatten(e, inner, p.Value, p.Key.Range(), p.Value.Range())...)
			} else {
				out = append(out, s.flatten(e, inner, nil, name, at)...)
			}
		}
		return out
	}
	known, ok := s.admit(v, fieldName(path), "train.config."+path, at, early)
	if !ok {
		if bare, m := unmark(v); len(m.late) == 0 && !m.sensitive && !bare.IsWhollyKnown() && path != "" {
			return []written{{schema.Written{Field: path, Value: schema.Unknown{}, Origin: schema.FromConfig}, name, at}}
		}
		return nil
	}
	return []written{{schema.Written{Field: path, Value: toGo(known, true), Origin: schema.FromConfig}, name, at}}
}

func fieldName(path string) string {
	if path == "" {
		return "config"
	}
	return "config." + path
}
