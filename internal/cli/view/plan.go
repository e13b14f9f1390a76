package view

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Plan writes a plan: for each step what would happen and why, the datasets,
// checks and outputs, and a summary line.
func Plan(w io.Writer, s Style, p *runner.Plan) {
	fmt.Fprintf(w, "Pipeline %s\n", s.Bold(Clean(p.Pipeline)))
	if len(p.Targets) > 0 {
		fmt.Fprintf(w, "Only %s and what they need.\n", strings.Join(p.Targets, ", "))
	}
	for _, m := range p.Moves {
		fmt.Fprintf(w, "State of %s moves to %s.\n", m.From, m.To)
	}
	if len(p.Steps) > 0 {
		fmt.Fprintln(w)
	}
	for _, step := range p.Steps {
		planStep(w, s, step)
	}
	planDatasets(w, s, p.Datasets)
	planChecks(w, s, p.Checks)
	planOutputs(w, s, p.Outputs)
	fmt.Fprintln(w)
	fmt.Fprintln(w, s.Bold(PlanSummary(p)))
}

// PlanSummary is the plan in one line.
func PlanSummary(p *runner.Plan) string {
	if !p.Changes {
		return fmt.Sprintf("No changes: %s up to date.", Count(len(p.Steps), "step"))
	}
	n := p.Count()
	var parts []string
	add := func(count int, what string) {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, what))
		}
	}
	add(n[runner.ActionRun], "to run")
	add(n[runner.ActionRetrain], "to retrain")
	add(n[runner.ActionResume]+n[runner.ActionResumeChange], "to resume")
	add(n[runner.ActionReevaluate], "to re-evaluate")
	add(n[runner.ActionReexport], "to re-export")
	add(n[runner.ActionDecideLater], "to be decided")
	add(n[runner.ActionReuse], "to reuse")
	return "Plan: " + strings.Join(parts, ", ") + "."
}

// actionWord is the action in a word or two.
func actionWord(a runner.Action) string {
	switch a {
	case runner.ActionResumeChange:
		return "resume"
	case runner.ActionDecideLater:
		return "decide later"
	}
	return string(a)
}

func actionColor(s Style, a runner.Action, text string) string {
	switch a {
	case runner.ActionReuse:
		return s.Dim(text)
	case runner.ActionResume, runner.ActionResumeChange:
		return s.Yellow(text)
	case runner.ActionRetrain:
		return s.Red(text)
	case runner.ActionDecideLater:
		return s.Cyan(text)
	}
	return s.Green(text)
}

func planStep(w io.Writer, s Style, step runner.PlannedStep) {
	symbol := fmt.Sprintf("%3s", step.Action.Symbol())
	fmt.Fprintf(w, "%s %s: %s\n", actionColor(s, step.Action, symbol), s.Bold(Clean(string(step.Address))),
		actionColor(s, step.Action, actionWord(step.Action)))
	if step.Reason != "" {
		fmt.Fprintf(w, "      %s\n", Clean(step.Reason))
	}
	if what := about(step); what != "" && step.Action != runner.ActionReuse {
		fmt.Fprintf(w, "      %s\n", s.Dim(what))
	}
	planChanges(w, s, step)
	for _, k := range step.KnownAfter {
		fmt.Fprintf(w, "      %s = %s\n", Clean(k.Field), s.Cyan(After(k.Steps)))
	}
	if step.Action == runner.ActionReuse {
		return
	}
	if step.Start != nil && step.Start.Path != "" {
		fmt.Fprintf(w, "      starts from %s (epoch %d)\n", Clean(step.Start.Path), step.Start.Epoch)
	}
	for _, note := range step.Notes {
		fmt.Fprintf(w, "      %s %s\n", s.Yellow("!"), Clean(note))
	}
	planSettings(w, s, step.Settings)
}

// planSettings lists what a preset or matrix set besides; defaults that are
// inactive are named together by reason, since nobody asked for them.
func planSettings(w io.Writer, s Style, notes []runner.SettingNote) {
	var reasons []string
	fields := map[string][]string{}
	for _, n := range notes {
		if n.Kind == "inactive" && n.Origin == pipelines.OriginDefault {
			if fields[n.Note] == nil {
				reasons = append(reasons, n.Note)
			}
			fields[n.Note] = append(fields[n.Note], n.Field)
			continue
		}
		note := n.Note
		if n.Kind == "inactive" {
			note = "inactive: " + note
		}
		fmt.Fprintf(w, "      %s\n", s.Dim(fmt.Sprintf("%s = %s (%s; %s)", Clean(n.Field), Value(n.Value), n.Origin, Clean(note))))
	}
	for _, r := range reasons {
		fmt.Fprintf(w, "      %s\n", s.Dim(fmt.Sprintf("inactive (%s): %s", Clean(r), Clean(strings.Join(fields[r], ", ")))))
	}
}

// about is what the step works with: "resnet18 by native on flowers, cpu".
func about(step runner.PlannedStep) string {
	var parts []string
	if step.Model != "" {
		parts = append(parts, step.Model)
	}
	if step.Adapter != "" {
		parts = append(parts, "by "+step.Adapter)
	}
	if step.Dataset != "" {
		parts = append(parts, "on "+step.Dataset)
	}
	text := strings.Join(parts, " ")
	for _, more := range []string{step.Device, string(step.Executor)} {
		if more != "" && text != "" {
			text += ", " + more
		}
	}
	if step.License != "" && text != "" {
		text += " (" + step.License + ")"
	}
	if step.Placement != "" && text != "" {
		text += ": " + step.Placement
	}
	return Clean(text)
}

func planChanges(w io.Writer, s Style, step runner.PlannedStep) {
	width := 0
	for _, c := range step.Changes {
		width = max(width, len(c.Field))
	}
	for _, c := range step.Changes {
		line := fmt.Sprintf("%-*s  %s -> %s", width, Clean(c.Field), Value(c.Old), Value(c.New))
		if effect := changeEffect(step, c); effect != "" {
			line += "   " + s.Dim("# "+effect)
		}
		fmt.Fprintf(w, "      %s %s\n", s.Yellow("~"), line)
	}
}

func changeEffect(step runner.PlannedStep, c runner.Change) string {
	switch {
	case c.Effect != "":
		return c.Effect
	case step.Action == runner.ActionResumeChange && slices.Contains(step.Keep, c.Field):
		return "the checkpoint's value stays"
	case step.Action == runner.ActionResumeChange && slices.Contains(step.Reset, c.Field):
		return "applies, and its state starts anew"
	case step.Action == runner.ActionRetrain && (c.Resume == schema.Forbid || c.Resume == ""):
		return "forces training anew"
	}
	return ""
}

func planDatasets(w io.Writer, s Style, datasets []runner.PlannedDataset) {
	if len(datasets) == 0 {
		return
	}
	fmt.Fprintln(w, "\nDatasets")
	rows := [][]string{{"NAME", "FORMAT", "CLASSES", "TRAIN", "VAL", "TEST", "UNREADABLE", "SHARED", ""}}
	for _, d := range datasets {
		r := d.Report
		note := ""
		if d.Previous != "" && d.Previous != r.Fingerprint {
			note = "changed since it was locked"
		}
		rows = append(rows, []string{d.Name, r.Format, fmt.Sprint(len(r.Classes)), splitCount(r, "train"), splitCount(r, "val"), splitCount(r, "test"),
			fmt.Sprint(len(r.Corrupt)), fmt.Sprint(len(r.Leaks)), note})
	}
	Table(w, s, "  ", rows)
}

func splitCount(r pipelines.DatasetReport, split string) string {
	if n, ok := r.Splits[split]; ok {
		return fmt.Sprint(n)
	}
	return "-"
}

func planChecks(w io.Writer, s Style, checks []runner.PlannedCheck) {
	if len(checks) == 0 {
		return
	}
	fmt.Fprintln(w, "\nChecks")
	for _, c := range checks {
		fmt.Fprintf(w, "  %s\n", CheckLine(s, c))
	}
}

// CheckLine is a check and its outcome.
func CheckLine(s Style, c runner.PlannedCheck) string {
	var values []string
	for _, v := range c.Values {
		values = append(values, Clean(v.Expr+" = "+v.Value))
	}
	tail := ""
	if len(values) > 0 {
		tail = s.Dim(" (" + strings.Join(values, ", ") + ")")
	}
	switch c.State {
	case runner.CheckPassed:
		return s.Green("✓") + " " + string(c.Address) + tail
	case runner.CheckFailed:
		return s.Red("✗") + " " + string(c.Address) + ": " + Clean(c.Message) + tail
	}
	return s.Cyan("?") + " " + string(c.Address) + " " + After(c.KnownAfter)
}

func planOutputs(w io.Writer, s Style, outputs []runner.PlannedOutput) {
	if len(outputs) == 0 {
		return
	}
	fmt.Fprintln(w, "\nOutputs")
	for _, o := range outputs {
		switch {
		case o.Sensitive:
			fmt.Fprintf(w, "  %s = (sensitive)\n", o.Name)
		case len(o.KnownAfter) > 0:
			fmt.Fprintf(w, "  %s = %s\n", o.Name, s.Cyan(After(o.KnownAfter)))
		default:
			fmt.Fprintf(w, "  %s = %s\n", o.Name, Value(o.Value))
		}
	}
}
