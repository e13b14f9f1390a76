package python

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// head are a description's first entries, in the order in which people want them.
var head = []string{"format", "key", "sdk_version", "name", "version", "numerics", "license", "description", "formats", "devices", "kinds"}

// layout writes a description with one model, field or preset a line, so that
// a committed one changes where the adapter changed.
func layout(d map[string]json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n")
	for _, name := range head {
		if v, ok := d[name]; ok {
			key(&b, "  ", name)
			if err := json.Compact(&b, v); err != nil {
				return nil, err
			}
			b.WriteString(",\n")
		}
	}
	var tasks map[string]struct {
		Schema struct {
			Fields []json.RawMessage `json:"fields"`
		} `json:"schema"`
		Presets map[string]json.RawMessage `json:"presets"`
	}
	if err := json.Unmarshal(d["tasks"], &tasks); err != nil {
		return nil, err
	}
	b.WriteString("  \"tasks\": {\n")
	for i, name := range slices.Sorted(maps.Keys(tasks)) {
		comma(&b, i)
		key(&b, "    ", name)
		b.WriteString("{\n      \"schema\": {\"fields\": [\n")
		if err := list(&b, tasks[name].Schema.Fields); err != nil {
			return nil, err
		}
		b.WriteString("\n      ]},\n      \"presets\": {\n")
		for j, preset := range slices.Sorted(maps.Keys(tasks[name].Presets)) {
			comma(&b, j)
			key(&b, "        ", preset)
			if err := json.Compact(&b, tasks[name].Presets[preset]); err != nil {
				return nil, err
			}
		}
		b.WriteString("\n      }\n    }")
	}
	b.WriteString("\n  },\n  \"models\": [\n")
	var models []json.RawMessage
	if err := json.Unmarshal(d["models"], &models); err != nil {
		return nil, err
	}
	if err := list(&b, models); err != nil {
		return nil, err
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes(), nil
}

func key(b *bytes.Buffer, indent, name string) {
	quoted, _ := json.Marshal(name) // a string always can
	b.WriteString(indent + string(quoted) + ": ")
}

// list writes values one a line.
func list(b *bytes.Buffer, values []json.RawMessage) error {
	for i, v := range values {
		comma(b, i)
		b.WriteString("        ")
		if err := json.Compact(b, v); err != nil {
			return err
		}
	}
	return nil
}

func comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteString(",\n")
	}
}
