package schema

import "strings"

// Nearest returns the candidate that a writer of given most likely meant: at
// most 2 edits away (1 for words of up to 3 letters), or the same letters in
// another case; "" when none is near.
func Nearest(given string, candidates []string) string {
	best, bestDistance := "", 3
	if len(given) <= 3 {
		bestDistance = 2
	}
	for _, c := range candidates {
		if c == given {
			continue
		}
		if strings.EqualFold(c, given) {
			return c
		}
		if d := distance(given, c, bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts single-letter insertions, removals, changes and swaps of
// neighbours between a and b (optimal string alignment), up to limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 200 {
		return limit
	}
	before := make([]int, len(b)+1)
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
