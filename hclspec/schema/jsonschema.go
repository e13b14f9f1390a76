package schema

import (
	"encoding/json"
	"strings"
)

// JSONSchema describes a config object (nested by dotted prefix) as JSON
// Schema draft 2020-12. A field with a condition is refused where its
// controlling field is written with another value. The presets are its examples.
func (s Schema) JSONSchema(title string, presets Presets) ([]byte, error) {
	root := newObject(title)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	var rules []any
	for _, f := range s.Fields {
		parts := strings.Split(f.Name, ".")
		at := root
		for _, p := range parts[:len(parts)-1] {
			at = child(at, p)
		}
		at["properties"].(map[string]any)[parts[len(parts)-1]] = f.jsonSchema()
		if rule := s.jsonRule(f); rule != nil {
			rules = append(rules, rule)
		}
	}
	if len(rules) > 0 {
		root["allOf"] = rules
	}
	var examples []any
	for _, name := range presets.Names() {
		examples = append(examples, s.written(presets[name]))
	}
	if len(examples) > 0 {
		root["examples"] = examples
	}
	return json.MarshalIndent(root, "", "  ")
}

// written is what one would write for a preset, as an object of objects: a
// preset's values without effect are dropped, and written ones are errors.
func (s Schema) written(preset map[string]any) map[string]any {
	out := map[string]any{}
	effective, _ := s.Resolve(Request{Preset: preset})
	for name, v := range preset {
		if e, ok := effective[name]; !ok || e.Inactive != "" || v == nil {
			continue
		}
		at, parts := out, strings.Split(name, ".")
		for _, p := range parts[:len(parts)-1] {
			if _, ok := at[p].(map[string]any); !ok {
				at[p] = map[string]any{}
			}
			at = at[p].(map[string]any)
		}
		at[parts[len(parts)-1]] = v
	}
	return out
}

func newObject(title string) map[string]any {
	o := map[string]any{"type": "object", "properties": map[string]any{}, "additionalProperties": false}
	if title != "" {
		o["title"] = title
	}
	return o
}

func child(of map[string]any, name string) map[string]any {
	properties := of["properties"].(map[string]any)
	if c, ok := properties[name].(map[string]any); ok && c["type"] == "object" {
		return c
	}
	c := newObject(name)
	properties[name] = c
	return c
}

func (f Field) jsonSchema() map[string]any {
	out := map[string]any{}
	bounded := out
	switch f.Type {
	case Select:
		out["type"], out["enum"] = "string", f.optionValues()
	case List:
		bounded = map[string]any{"type": []string{"string", "number", "boolean"}}
		if len(f.Options) > 0 {
			bounded["enum"] = f.optionValues()
		}
		out["type"], out["items"] = "array", bounded
	default:
		out["type"] = string(f.Type)
	}
	if f.Min != nil {
		bounded["minimum"] = *f.Min
	}
	if f.Max != nil {
		bounded["maximum"] = *f.Max
	}
	if f.Label != "" {
		out["title"] = f.Label
	}
	if f.Description != "" {
		out["description"] = f.Description
	}
	if f.Default != nil {
		out["default"] = f.Default
	}
	if len(f.Devices) > 0 {
		out["x-devices"] = f.Devices
	}
	for key, value := range map[string]string{"x-unit": f.Unit, "x-group": f.Group, "x-resume": string(f.Resume)} {
		if value != "" {
			out[key] = value
		}
	}
	if f.Step != nil {
		out["x-step"] = *f.Step
	}
	if f.Condition != nil {
		out["x-condition"] = f.Condition
	}
	return out
}

// jsonRule refuses f where its controlling field is written and does not match.
func (s Schema) jsonRule(f Field) map[string]any {
	if f.Condition == nil {
		return nil
	}
	allowed, ok := toList(f.Condition.Value)
	if !ok {
		allowed = []any{f.Condition.Value}
	}
	mismatch := map[string]any{"not": map[string]any{"enum": allowed}}
	return map[string]any{
		"if":   nest(f.Condition.Field, mismatch, true),
		"then": nest(f.Name, false, false),
	}
}

// nest wraps a schema in objects along a dotted name; required asks for each part.
func nest(name string, inner any, required bool) map[string]any {
	parts := strings.Split(name, ".")
	var out any = inner
	for i := len(parts) - 1; i >= 0; i-- {
		o := map[string]any{"properties": map[string]any{parts[i]: out}}
		if required {
			o["required"] = []string{parts[i]}
		}
		out = o
	}
	return out.(map[string]any)
}
