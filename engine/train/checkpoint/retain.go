package checkpoint

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Policy says which checkpoints are kept. Zero fields have the default in brackets.
type Policy struct {
	Every     int    // epochs between checkpoints [1]; Retain does not read it
	KeepLast  int    // newest epochs kept [2]
	KeepBest  int    // best epochs kept [1]
	KeepEvery int    // every N-th epoch kept for good [none]
	Metric    string // decides which are best
	Min       bool   // smaller is better
}

// Retain removes what the policy does not keep and returns the names removed.
// Never removed: what latest and best point to, and the two newest, whatever
// their kind, so that a damaged one has one to fall back to.
func Retain(dir string, p Policy) ([]string, error) {
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, link := range []string{"latest", "best"} {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, link)); err == nil {
			keep[filepath.Base(real)] = true
		}
	}
	for _, c := range list[:min(2, len(list))] {
		keep[c.Name] = true
	}
	epochs := slices.DeleteFunc(slices.Clone(list), func(c Info) bool { return !c.Complete })
	for i, c := range epochs {
		if i < orDefault(p.KeepLast, 2) || (p.KeepEvery > 0 && c.Epoch%p.KeepEvery == 0) {
			keep[c.Name] = true
		}
	}
	for _, c := range best(epochs, p) {
		keep[c.Name] = true
	}
	var removed []string
	for _, c := range list {
		if keep[c.Name] {
			continue
		}
		if err := discard(c.Path); err != nil {
			return removed, fmt.Errorf("remove checkpoint %s: %w", c.Name, err)
		}
		removed = append(removed, c.Name)
	}
	return removed, nil
}

// best returns the KeepBest epochs with the best metric; among equals the earlier ones.
func best(epochs []Info, p Policy) []Info {
	epochs = slices.DeleteFunc(slices.Clone(epochs), func(c Info) bool {
		_, ok := c.Metrics[p.Metric]
		return !ok
	})
	slices.Reverse(epochs)
	slices.SortStableFunc(epochs, func(a, b Info) int {
		x, y := a.Metrics[p.Metric], b.Metrics[p.Metric]
		switch {
		case x == y:
			return 0
		case (x < y) == p.Min:
			return -1
		}
		return 1
	})
	return epochs[:min(orDefault(p.KeepBest, 1), len(epochs))]
}

func orDefault(v, d int) int {
	if v <= 0 {
		return d
	}
	return v
}
