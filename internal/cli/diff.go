package cli

import "github.com/rogpeppe/go-internal/diff"

// unifiedDiff is what formatting changes in a file, in the usual notation.
func unifiedDiff(name string, before, after []byte) []byte {
	return diff.Diff("a/"+name, before, "b/"+name, after)
}
