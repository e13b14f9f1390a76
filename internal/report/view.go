package report

import (
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// view is the page's data, computed: the template only places it.
type view struct {
	CSS      template.CSS
	Title    string
	Run      pipelines.Run
	Version  string
	Now      time.Time
	Tiles    []tile
	Charts   []chart
	Best     *pipelines.Validation
	Matrix   *matrix
	PR       *chart
	Classes  []classRow
	Samples  []sample
	Config   []configRow
	Applied  bool // some attempt reported its applied config
	Dataset  *pipelines.DatasetReport
	Splits   []string
	Counts   []countRow
	Env      []pair
	Facts    []pair
	Attempts []pipelines.Attempt
	Saved    []pipelines.Checkpoint
	Files    []pipelines.Artifact
	Warnings []string
}

type tile struct{ Label, Value, Note string }

type pair struct{ Name, Value string }

type countRow struct {
	Class string
	N     []int // in the order of Splits
}

func newView(d Data) *view {
	v := &view{
		Title: d.Run.Pipeline + " · " + string(d.Run.Address), Run: d.Run, Version: d.Version, Now: d.Now,
		Attempts: d.Attempts, Saved: d.Checkpoints, Files: d.Artifacts, Dataset: d.Dataset,
	}
	v.Best = bestValidation(d)
	v.Tiles = tiles(d, v.Best)
	v.Charts = charts(d.Metrics, v.Best)
	if v.Best != nil {
		v.Matrix = newMatrix(*v.Best)
		v.PR = prChart(*v.Best)
		v.Classes = classRows(*v.Best)
		v.Samples = samples(*v.Best)
	}
	applied := lastApplied(d.Attempts)
	v.Applied = applied != nil
	if d.Spec != nil && d.Spec.Train != nil {
		v.Config = configRows(*d.Spec.Train, applied)
	}
	if applied != nil {
		v.Env = pairs(applied.Environment)
	}
	v.Facts = facts(d)
	v.Splits, v.Counts = counts(d.Dataset)
	for _, m := range d.Messages {
		if m.Message.Level == "warning" || m.Message.Level == "error" {
			v.Warnings = append(v.Warnings, m.Message.Text)
		}
	}
	return v
}

// bestValidation is the pass that belongs to the best checkpoint, else the last one.
func bestValidation(d Data) *pipelines.Validation {
	if len(d.Validations) == 0 {
		return nil
	}
	if d.Run.Result != nil && d.Run.Result.Best != nil {
		for i := len(d.Validations) - 1; i >= 0; i-- {
			if v := d.Validations[i]; v.Epoch == d.Run.Result.Best.Epoch && v.Split != "train" {
				return &v
			}
		}
	}
	return &d.Validations[len(d.Validations)-1]
}

func tiles(d Data, best *pipelines.Validation) []tile {
	var out []tile
	if best != nil {
		out = append(out, tile{best.PrimaryName, percentOrNumber(best.PrimaryName, best.PrimaryValue), "on " + best.Split + ", epoch " + itoa(best.Epoch)})
		out = append(out, tile{"loss", number(best.Loss), "on " + best.Split})
		names := make([]string, 0, len(best.Metrics))
		for name := range best.Metrics {
			if name != best.PrimaryName && name != "loss" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names[:min(3, len(names))] {
			out = append(out, tile{name, percentOrNumber(name, best.Metrics[name]), "on " + best.Split})
		}
	}
	out = append(out, tile{"time", duration(d.Run.Started, d.Run.Ended), plural(max(d.Run.Attempts, len(d.Attempts)), "attempt")})
	return out
}

// percentOrNumber writes fractions as percentages; losses and rates stay numbers.
func percentOrNumber(name string, v float64) string {
	if strings.Contains(name, "loss") || strings.Contains(name, "rate") || v < 0 || v > 1 {
		return number(v)
	}
	return percent(v)
}

func facts(d Data) []pair {
	out := []pair{
		{"Run", d.Run.ID},
		{"Job", itoa(int(d.Run.JobID))},
		{"Adapter", d.Run.Adapter},
		{"Model", d.Run.Model},
		{"Task", d.Run.TaskType},
		{"Started", clock(d.Run.Started)},
		{"Ended", clock(d.Run.Ended)},
		{"Content key", d.Run.ContentKey},
	}
	if d.Run.Parent != "" {
		out = append(out, pair{"Goes on from run", d.Run.Parent})
	}
	return slices.DeleteFunc(out, func(p pair) bool { return p.Value == "" })
}

func counts(r *pipelines.DatasetReport) (splits []string, rows []countRow) {
	if r == nil {
		return nil, nil
	}
	for _, s := range []string{"train", "val", "test"} {
		if _, ok := r.Counts[s]; ok {
			splits = append(splits, s)
		}
	}
	for s := range r.Counts {
		if !slices.Contains(splits, s) {
			splits = append(splits, s)
		}
	}
	for _, class := range r.Classes {
		row := countRow{Class: class}
		for _, s := range splits {
			row.N = append(row.N, r.Counts[s][class])
		}
		rows = append(rows, row)
	}
	return splits, rows
}
