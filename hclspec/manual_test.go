package hclspec

import (
	"strings"
	"testing"
)

// TestManualSaysSomethingOfEverything: whatever may be written has words that
// an editor can show.
func TestManualSaysSomethingOfEverything(t *testing.T) {
	var walk func(path []string, label string, s *blockSpec)
	walk = func(path []string, label string, s *blockSpec) {
		path = append(path[:len(path):len(path)], s.Type)
		if aboutBlock(path) == "" && label == "" {
			t.Errorf("nothing on block %s", strings.Join(path, "."))
		}
		for _, name := range s.attributes() {
			if text := aboutArgument(path, label, name); !strings.Contains(text, name) {
				t.Errorf("%s %s %s: %q", strings.Join(path, "."), label, name, text)
			}
		}
		for _, n := range s.Blocks {
			walk(path, label, n)
		}
	}
	for _, s := range topLevel {
		walk(nil, "", s)
	}
	for _, kind := range typedNames {
		for label, s := range typed[kind] {
			walk(nil, label, s)
		}
	}
	for _, c := range []struct{ block, label, name, want string }{
		{"train", "", "batch_size", "default 32"},
		{"train.start", "", "mode", "`start` goes on from a checkpoint"},
		{"train.checkpoint", "", "keep_best", "`every` N epochs"},
		{"train", "", "timeout", "of one attempt"},
		{"executor", "dagger", "user", "default 1000:1000"},
		{"executor", "kubernetes", "user", "of the step's pods"},
		{"executor", "kubernetes", "gpus", "per pod"},
		{"model", "", "freeze", "globs over parameter names"},
		{"dataset.checks", "", "leakage", "error, warn or ignore"},
	} {
		if text := aboutArgument(strings.Split(c.block, "."), c.label, c.name); !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %q lacks %q", c.block, c.name, text, c.want)
		}
	}
}
