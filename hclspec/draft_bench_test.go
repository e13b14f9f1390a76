package hclspec_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
)

// BenchmarkComplete is a completion in a pipeline of 1,000 blocks.
func BenchmarkComplete(b *testing.B) {
	text := string(large(1000)[0].Text) + "\noutput \"x\" {\n  value = train.t7.\n}\n"
	dir := b.TempDir()
	at := hclspec.Cursor{File: filepath.Join(dir, "main.hcl"), Byte: strings.Index(text, "train.t7.\n") + len("train.t7."), Writing: true}
	opts := planOptions()
	opts.Open = map[string][]byte{at.File: []byte(text)}
	for b.Loop() {
		if items := hclspec.NewDraft(b.Context(), dir, opts, at).Complete(at); len(items) == 0 {
			b.Fatal("nothing to complete")
		}
	}
}
