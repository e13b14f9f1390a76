package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/trainwright/trainwright/pipelines"
)

// configRow compares what was asked for with what the objects built say.
type configRow struct {
	Name, Requested, Origin, Applied, Note string
	Differs                                bool
}

func configRows(t pipelines.TrainSpec, applied *pipelines.ConfigApplied) []configRow {
	var rows []configRow
	attributes := map[string]any{
		"epochs": t.Epochs, "batch_size": t.BatchSize, "learning_rate": t.LearningRate, "seed": t.Seed, "device": t.Device,
	}
	for _, name := range []string{"epochs", "batch_size", "learning_rate", "seed", "device"} {
		row := configRow{Name: name, Requested: value(attributes[name]), Origin: "train"}
		if applied != nil {
			if v, ok := applied.Attributes[name]; ok {
				row.Applied = value(v)
				row.Differs = row.Applied != row.Requested && !(name == "device" && t.Device == "auto")
			}
		}
		rows = append(rows, row)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Config)) {
		s := t.Config[name]
		row := configRow{Name: name, Requested: value(s.Value), Origin: string(s.Origin)}
		switch {
		case s.Inactive != "":
			row.Note = "inactive: " + s.Inactive
		case s.Derived != "":
			row.Note = "follows " + s.Derived
		case s.Replaced != nil:
			row.Note = "replaced " + value(s.Replaced)
		}
		if applied != nil {
			v, ok := applied.Values[name]
			if ok {
				row.Applied = value(v)
			}
			row.Differs = ok && s.Inactive == "" && row.Applied != row.Requested
			if reason := applied.Unsupported[name]; reason != "" {
				row.Note = "no effect here: " + reason
				row.Differs = row.Differs && s.Origin.Written()
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func lastApplied(attempts []pipelines.Attempt) *pipelines.ConfigApplied {
	for i := len(attempts) - 1; i >= 0; i-- {
		if attempts[i].Applied != nil {
			return attempts[i].Applied
		}
	}
	return nil
}

// value writes numbers of any Go type alike, so that 5 and 5.0 compare equal.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if b, err := json.Marshal(v); err == nil {
		return string(b)
	}
	return fmt.Sprint(v)
}

func pairs(m map[string]string) []pair {
	var out []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{k, m[k]})
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return itoa(n) + " " + noun + "s"
}
