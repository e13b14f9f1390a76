package cli

import (
	"cmp"
	"maps"
	"slices"
)

// sortedKeys returns a map's keys in order, so that what is printed is always the same.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
