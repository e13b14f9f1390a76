package runner

import "math"

// finite replaces numbers that JSON has not, at any depth, by the words that
// stand for them everywhere in this house: "NaN", "Infinity", "-Infinity".
func finite(v any) any {
	switch x := v.(type) {
	case float64:
		switch {
		case math.IsNaN(x):
			return "NaN"
		case math.IsInf(x, 1):
			return "Infinity"
		case math.IsInf(x, -1):
			return "-Infinity"
		}
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = finite(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = finite(x[k])
		}
		return out
	}
	return v
}
