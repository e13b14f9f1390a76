package hclspec

import (
	"os"
	"strings"
	"testing"
)

// TestSpecNamesEverything: every block type, argument, function, event, task
// and format that the code knows stands in spec.md.
func TestSpecNamesEverything(t *testing.T) {
	text, err := os.ReadFile("spec.md")
	if err != nil {
		t.Fatal(err)
	}
	spec := string(text)
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(spec, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		words[w] = true
	}
	need := func(kind string, names ...string) {
		for _, name := range names {
			if !words[name] {
				t.Errorf("spec.md lacks the %s %q", kind, name)
			}
		}
	}
	var walk func(s *blockSpec)
	walk = func(s *blockSpec) {
		need("block", s.Type)
		need("argument of "+s.Type, s.attributes()...)
		for _, n := range s.Blocks {
			walk(n)
		}
	}
	for _, s := range topLevel {
		walk(s)
	}
	for _, kind := range typedNames {
		for label, s := range typed[kind] {
			need(kind+" type", label)
			walk(s)
		}
	}
	m := newModule(".", Options{}, Files{})
	need("function", m.names...)
	need("event", notifyEvents...)
	need("task", tasks...)
	need("format", datasetFormats...)
	for _, types := range resultTypes {
		for name := range types {
			need("result", name)
		}
	}
	for name := range checkpointType.AttributeTypes() {
		need("attribute of a checkpoint", name)
	}
}
