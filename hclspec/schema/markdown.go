package schema

import (
	"fmt"
	"strings"
)

// Markdown renders the docs page of a schema and its presets.
func (s Schema) Markdown(title string, presets Presets) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", title)
	group := "\x00"
	for _, f := range s.Fields {
		if g := f.heading(); g != group {
			group = g
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		f.markdown(&b)
	}
	if len(presets) == 0 {
		return b.String()
	}
	names := presets.Names()
	fmt.Fprintf(&b, "\n## Presets\n\n| field | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, f := range s.Fields {
		cells, any := make([]string, len(names)), false
		for i, n := range names {
			if v, ok := presets[n][f.Name]; ok {
				cells[i], any = cell(Format(v)), true
			}
		}
		if any {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f.Name, strings.Join(cells, " | "))
		}
	}
	return b.String()
}

// Markdown renders one field.
func (f Field) Markdown() string {
	var b strings.Builder
	f.markdown(&b)
	return strings.TrimSpace(b.String()) + "\n"
}

func (f Field) heading() string {
	if f.Group != "" {
		return f.Group
	}
	if p := prefix(f.Name); p != "" {
		return p
	}
	return "general"
}

func (f Field) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### `%s`\n\n", f.Name)
	if f.Description != "" {
		fmt.Fprintf(b, "%s\n\n", f.Description)
	} else if f.Label != "" {
		fmt.Fprintf(b, "%s\n\n", f.Label)
	}
	fmt.Fprintf(b, "- type: %s\n", f.Type)
	if f.Default == nil {
		b.WriteString("- default: unset\n")
	} else {
		fmt.Fprintf(b, "- default: `%s`\n", Format(f.Default))
	}
	if f.Min != nil {
		fmt.Fprintf(b, "- minimum: %s\n", Format(*f.Min))
	}
	if f.Max != nil {
		fmt.Fprintf(b, "- maximum: %s\n", Format(*f.Max))
	}
	if f.Unit != "" {
		fmt.Fprintf(b, "- unit: %s\n", f.Unit)
	}
	for _, o := range f.Options {
		fmt.Fprintf(b, "- option `%s`%s\n", o.Value, dash(o.Label, o.Description))
	}
	if f.Condition != nil {
		fmt.Fprintf(b, "- active while `%s` is %s\n", f.Condition.Field, f.Condition.words())
	}
	if len(f.Devices) > 0 {
		fmt.Fprintf(b, "- has an effect on: %s\n", strings.Join(f.Devices, ", "))
	}
	resume := f.Resume
	if resume == "" {
		resume = Forbid
	}
	fmt.Fprintf(b, "- a change on resume: %s\n", resume)
}

// words renders the values under which the condition holds.
func (c Condition) words() string {
	list, ok := toList(c.Value)
	if !ok {
		list = []any{c.Value}
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = "`" + Format(v) + "`"
	}
	return strings.Join(parts, " or ")
}

func dash(parts ...string) string {
	var out string
	for _, p := range parts {
		if p != "" {
			out += ": " + p
		}
	}
	return out
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
