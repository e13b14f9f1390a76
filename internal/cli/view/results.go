package view

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Limits of the final tables; report.html has all rows.
const (
	maxClassRows    = 20
	maxMatrixClass  = 12
	maxConfusedRows = 8
)

// Validation writes a validation's per-class table and confusion matrix.
func Validation(w io.Writer, s Style, v pipelines.Validation) {
	fmt.Fprintf(w, "  %s, epoch %d: loss %s", v.Split, v.Epoch, Metric(v.Loss))
	for _, name := range metricNames(v) {
		fmt.Fprintf(w, ", %s %s", Clean(name), Metric(v.Metrics[name]))
	}
	fmt.Fprintln(w)
	perClass(w, s, v)
	confusion(w, s, v)
}

func metricNames(v pipelines.Validation) []string {
	var names []string
	for n := range v.Metrics {
		if n != "loss" {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == v.PrimaryName) != (b == v.PrimaryName) {
			if a == v.PrimaryName {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	return names
}

func perClass(w io.Writer, s Style, v pipelines.Validation) {
	if len(v.PerClass) == 0 {
		return
	}
	classes := make([]string, 0, len(v.PerClass))
	for c := range v.PerClass {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, func(a, b string) int {
		return cmp.Or(cmp.Compare(v.PerClass[a]["f1"], v.PerClass[b]["f1"]), cmp.Compare(a, b))
	})
	hidden := 0
	if len(classes) > maxClassRows {
		hidden = len(classes) - maxClassRows
		classes = classes[:maxClassRows]
	}
	rows := [][]string{{"CLASS", "PRECISION", "RECALL", "F1", "IMAGES"}}
	for _, c := range classes {
		m := v.PerClass[c]
		rows = append(rows, []string{c, Metric(m["precision"]), Metric(m["recall"]), Metric(m["f1"]), strconv.Itoa(int(m["support"]))})
	}
	fmt.Fprintln(w)
	Table(w, s, "  ", rows)
	if hidden > 0 {
		fmt.Fprintf(w, "  … and %s with a higher F1.\n", map[bool]string{true: "1 class", false: strconv.Itoa(hidden) + " classes"}[hidden == 1])
	}
}

// confusion prints the matrix of few classes, or the most frequent confusions of many.
func confusion(w io.Writer, s Style, v pipelines.Validation) {
	n := len(v.ConfusionMatrix)
	if n == 0 {
		return
	}
	fmt.Fprintln(w)
	if n <= maxMatrixClass && fits(s, v, n) {
		rows := [][]string{append([]string{"TRUTH \\ PREDICTION"}, names(v, n)...)}
		for i, counts := range v.ConfusionMatrix {
			row := []string{className(v, i)}
			for _, c := range counts {
				cell := strconv.FormatInt(c, 10)
				if c == 0 {
					cell = "."
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		Table(w, s, "  ", rows)
		return
	}
	type pair struct {
		truth, taken int
		n            int64
	}
	var pairs []pair
	for i, counts := range v.ConfusionMatrix {
		for j, c := range counts {
			if i != j && c > 0 {
				pairs = append(pairs, pair{i, j, c})
			}
		}
	}
	if len(pairs) == 0 {
		fmt.Fprintln(w, "  No image was taken for another class.")
		return
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
	rows := [][]string{{"TRUTH", "TAKEN FOR", "IMAGES"}}
	for _, p := range pairs[:min(maxConfusedRows, len(pairs))] {
		rows = append(rows, []string{className(v, p.truth), className(v, p.taken), strconv.FormatInt(p.n, 10)})
	}
	Table(w, s, "  ", rows)
}

func fits(s Style, v pipelines.Validation, n int) bool {
	if s.Width == 0 {
		return true
	}
	width := 2 + 18
	for _, name := range names(v, n) {
		width += 2 + max(len(name), 4)
	}
	return width <= s.Width
}

func names(v pipelines.Validation, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = className(v, i)
	}
	return out
}

func className(v pipelines.Validation, i int) string {
	if i >= 0 && i < len(v.Classes) {
		return v.Classes[i]
	}
	return "class " + strconv.Itoa(i)
}

// Result writes how an apply ended: a table of its steps, checks, outputs and one line of summary.
func Result(w io.Writer, s Style, r runner.ApplyResult, validations map[pipelines.Address]pipelines.Validation) {
	for _, step := range r.Steps {
		v, ok := validations[step.Address]
		if !ok || step.Status != pipelines.StatusCompleted || step.Action == runner.ActionReuse {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", s.Bold(Clean(string(step.Address))))
		Validation(w, s, v)
	}
	var rows [][]string
	for _, step := range r.Steps {
		if step.Action == runner.ActionReuse && step.Status == pipelines.StatusCompleted {
			continue
		}
		rows = append(rows, []string{string(step.Address), actionWord(step.Action), string(step.Status), step.RunID, step.Dir})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		Table(w, s, "  ", append([][]string{{"STEP", "ACTION", "STATUS", "RUN", "FOLDER"}}, rows...))
	}
	Outputs(w, s, "\nOutputs\n", r.Outputs)
	fmt.Fprintf(w, "\n%s\n", s.Bold(resultSummary(r)))
}

// Outputs writes outputs by name behind a heading; nothing without outputs.
func Outputs(w io.Writer, s Style, heading string, outputs map[string]runner.OutputValue) {
	if len(outputs) == 0 {
		return
	}
	fmt.Fprint(w, heading)
	keys := make([]string, 0, len(outputs))
	for k := range outputs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		value := "(sensitive)"
		if !outputs[k].Sensitive {
			value = Value(outputs[k].Value)
		}
		fmt.Fprintf(w, "  %s = %s\n", k, value)
	}
}

func resultSummary(r runner.ApplyResult) string {
	n := map[pipelines.Status]int{}
	reused := 0
	for _, s := range r.Steps {
		if s.Action == runner.ActionReuse && s.Status == pipelines.StatusCompleted {
			reused++
			continue
		}
		n[s.Status]++
	}
	var parts []string
	for _, st := range []pipelines.Status{pipelines.StatusCompleted, pipelines.StatusFailed, pipelines.StatusCancelled, pipelines.StatusSkipped} {
		if n[st] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[st], st))
		}
	}
	if reused > 0 {
		parts = append(parts, fmt.Sprintf("%d reused", reused))
	}
	failed := 0
	for _, c := range r.Checks {
		if c.State == runner.CheckFailed {
			failed++
		}
	}
	if failed > 0 {
		parts = append(parts, Count(failed, "check")+" failed")
	}
	text := "Apply " + string(r.Status)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if d := r.Ended.Sub(r.Started); d > 0 && !r.Ended.IsZero() {
		text += ", " + Duration(d)
	}
	return text + "."
}
