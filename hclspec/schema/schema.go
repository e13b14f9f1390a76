// Package schema is the typed description of an adapter's advanced config.
// One Schema value gives the HCL decoder, validation, JSON Schema, a docs
// page, the web form and the API's JSON. It imports only the standard library.
package schema

import "slices"

// Schema lists the config fields of one adapter for one task.
// Its JSON is the platform's: {"fields": [ … ]}.
type Schema struct {
	Fields []Field `json:"fields"`
}

// Presets map a preset's name (basic, standard, aggressive) to values by
// dotted field name.
type Presets map[string]map[string]any

// Field is one setting. Name is dotted: "optimizer.weight_decay" stands in
// block optimizer { weight_decay = … }.
type Field struct {
	Name        string     `json:"name"`
	Type        Type       `json:"type"`
	Label       string     `json:"label,omitempty"`
	Description string     `json:"description,omitempty"`
	Default     any        `json:"default"` // nil = unset
	Min         *float64   `json:"min,omitempty"`
	Max         *float64   `json:"max,omitempty"`
	Step        *float64   `json:"step,omitempty"` // a hint for forms and sweeps, never a validity rule
	Options     []Option   `json:"options,omitempty"`
	Condition   *Condition `json:"condition,omitempty"`
	Unit        string     `json:"unit,omitempty"`
	Group       string     `json:"group,omitempty"`
	Resume      Resume     `json:"resume,omitempty"` // "" = forbid
	// Devices are the device classes ("cpu", "cuda") on which another value
	// than the default has an effect; empty = all.
	Devices []string `json:"devices,omitempty"`
}

// Type is a field's value type.
type Type string

const (
	Select  Type = "select"  // one of Options, a string
	Number  Type = "number"  // float64
	Integer Type = "integer" // int64
	Boolean Type = "boolean"
	String  Type = "string"
	List    Type = "list" // []any of strings, numbers or booleans
)

// Option is one choice of a select field.
type Option struct {
	Value       string `json:"value"`
	Label       string `json:"label,omitempty"`
	Description string `json:"description,omitempty"`
}

// Condition makes a field active only while another has a value. Value is a
// scalar, or a list of which any may match. A field whose controlling field
// is inactive is inactive.
type Condition struct {
	Field string `json:"field"`
	Value any    `json:"value"`
}

// Resume is what a change of the field means for a resumed training.
type Resume string

const (
	Apply  Resume = "apply"  // the new value counts from the resume point
	Keep   Resume = "keep"   // the checkpoint's value stays
	Reset  Resume = "reset"  // apply, and drop that part's state
	Forbid Resume = "forbid" // a change means training anew
)

// Field returns the field of that name.
func (s Schema) Field(name string) (Field, bool) {
	i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Names returns the field names in schema order.
func (s Schema) Names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}
