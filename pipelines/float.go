package pipelines

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Float is a measured number. JSON has no NaN and no infinities, and training
// has both: not finite values are written as the strings "NaN", "Infinity" and
// "-Infinity"; every reader of this package takes both forms.
type Float float64

// MarshalJSON writes not finite values as strings.
func (f Float) MarshalJSON() ([]byte, error) {
	v := float64(f)
	switch {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads both forms.
func (f *Float) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*f = Float(math.NaN())
	case `"Infinity"`:
		*f = Float(math.Inf(1))
	case `"-Infinity"`:
		*f = Float(math.Inf(-1))
	case "null":
		*f = 0
	default:
		v, err := strconv.ParseFloat(string(b), 64) // b is a value of JSON: what else parses does not come
		if err != nil {
			return fmt.Errorf("%s is not a number, \"NaN\", \"Infinity\" or \"-Infinity\"", b)
		}
		*f = Float(v)
	}
	return nil
}

type floats map[string]float64

func (m floats) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("null"), nil
	}
	out := make(map[string]Float, len(m))
	for k, v := range m {
		out[k] = Float(v)
	}
	return json.Marshal(out)
}

func (m *floats) UnmarshalJSON(b []byte) error {
	var in map[string]Float
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in == nil {
		*m = nil
		return nil
	}
	*m = make(floats, len(in))
	for k, v := range in {
		(*m)[k] = float64(v)
	}
	return nil
}

type floatTable map[string]map[string]float64

func (t floatTable) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	out := make(map[string]floats, len(t))
	for k, v := range t {
		out[k] = v
	}
	return json.Marshal(out)
}

func (t *floatTable) UnmarshalJSON(b []byte) error {
	var in map[string]floats
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in == nil {
		*t = nil
		return nil
	}
	*t = make(floatTable, len(in))
	for k, v := range in {
		(*t)[k] = v
	}
	return nil
}
