package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Plain shows an apply as lines: for logs, CI and pipes.
type Plain struct {
	w        io.Writer
	s        Style
	p        *Progress
	lastLine map[pipelines.Address]time.Time
}

// ProgressEvery is the least time between two progress lines of a step.
const ProgressEvery = 10 * time.Second

// NewPlain writes lines to w.
func NewPlain(w io.Writer, s Style) *Plain {
	return &Plain{w: w, s: s, p: newProgress(), lastLine: map[pipelines.Address]time.Time{}}
}

var _ runner.Observer = (*Plain)(nil)

// Observe prints what is worth a line.
func (v *Plain) Observe(n runner.Notice) {
	v.p.observe(n)
	for _, line := range v.lines(n) {
		fmt.Fprintln(v.w, line)
	}
}

func (v *Plain) lines(n runner.Notice) []string {
	if e := n.Event; n.Type == runner.NoticeStepEvent && e != nil && e.Progress != nil {
		if last, ok := v.lastLine[n.Address]; ok && n.Time.Sub(last) < ProgressEvery {
			return nil
		} else if !ok { // the first one comes after a while
			v.lastLine[n.Address] = n.Time
			return nil
		}
		v.lastLine[n.Address] = n.Time
		return []string{name(v.s, n.Address) + progressText(e.Progress)}
	}
	return lines(v.s, v.p, n)
}

// lines are the lasting lines of a notice, common to both views.
func lines(s Style, p *Progress, n runner.Notice) []string {
	head := name(s, n.Address)
	switch n.Type {
	case runner.NoticeLockTakenOver, runner.NoticeLockWaiting:
		return []string{s.Yellow("Lock: ") + Clean(n.Message)}
	case runner.NoticeStepDecided:
		if n.Step != nil && p.surprises(*n.Step) {
			return []string{head + "decided: " + actionColor(s, n.Step.Action, actionWord(n.Step.Action)) + reason(n.Step.Reason)}
		}
	case runner.NoticeStepWaiting:
		return []string{head + "waiting: " + Clean(n.Message)}
	case runner.NoticeStepStarted:
		return []string{head + fmt.Sprintf("started (run %s, job %d, attempt %d)", n.RunID, n.JobID, n.Attempt)}
	case runner.NoticeStepAdopted:
		return []string{head + fmt.Sprintf("still running, followed from here (run %s, attempt %d)", n.RunID, n.Attempt)}
	case runner.NoticeStepRetry:
		return []string{head + s.Yellow("retry: ") + Clean(n.Message)}
	case runner.NoticeWarning:
		if n.Problem != nil {
			return []string{warningHead(s, n) + Clean(n.Problem.Summary+": "+n.Problem.Detail)}
		}
	case runner.NoticeStepSkipped:
		return []string{head + s.Yellow("skipped: ") + Clean(n.Message)}
	case runner.NoticeStepEnded:
		return []string{head + endText(s, p.steps[n.Address], n)}
	case runner.NoticeCheck:
		if n.Check != nil {
			return []string{CheckLine(s, *n.Check)}
		}
	case runner.NoticeStepEvent:
		return eventLines(s, p.steps[n.Address], head, n.Event)
	}
	return nil
}

func warningHead(s Style, n runner.Notice) string {
	if n.Address == "" {
		return s.Yellow("Warning: ")
	}
	return name(s, n.Address) + s.Yellow("warning: ")
}

func name(s Style, a pipelines.Address) string { return s.Bold(Clean(string(a))) + ": " }

func reason(r string) string {
	if r == "" {
		return ""
	}
	return " (" + Clean(r) + ")"
}

func eventLines(s Style, step *stepState, head string, e *pipelines.Event) []string {
	switch {
	case e == nil:
	case e.Resumed != nil:
		return []string{head + fmt.Sprintf("goes on after epoch %d, step %d", e.Resumed.Epoch, e.Resumed.GlobalStep)}
	case e.Validation != nil:
		return []string{head + epochText(step, e.Validation)}
	case e.Message != nil && e.Message.Level != "debug":
		return []string{head + messageText(s, *e.Message)}
	}
	return nil
}

// epochText is an epoch's end in one line.
func epochText(step *stepState, v *pipelines.Validation) string {
	var b strings.Builder
	if step != nil && step.progress != nil && step.progress.Epochs > 0 {
		fmt.Fprintf(&b, "epoch %d/%d", v.Epoch, step.progress.Epochs)
	} else {
		fmt.Fprintf(&b, "epoch %d", v.Epoch)
	}
	if step != nil {
		if loss, ok := step.train[v.Epoch]["loss"]; ok {
			fmt.Fprintf(&b, "  loss %s", Metric(loss))
		}
	}
	fmt.Fprintf(&b, "  %s loss %s  %s %s", v.Split, Metric(v.Loss), v.PrimaryName, Metric(v.PrimaryValue))
	if step != nil && step.progress != nil && step.progress.ImagesPerSecond > 0 {
		fmt.Fprintf(&b, "  %s", Rate(step.progress.ImagesPerSecond))
		if step.progress.ETASeconds > 0 {
			fmt.Fprintf(&b, "  ETA %s", eta(step.progress.ETASeconds))
		}
	}
	return Clean(b.String())
}

func eta(seconds float64) string { return Duration(time.Duration(seconds * float64(time.Second))) }

func progressText(p *pipelines.Progress) string {
	text := fmt.Sprintf("epoch %d/%d  step %d/%d  loss %s  %s", p.Epoch, p.Epochs, p.Step, p.Steps, Metric(p.Loss), Rate(p.ImagesPerSecond))
	if p.ETASeconds > 0 {
		text += "  ETA " + eta(p.ETASeconds)
	}
	return text
}

func endText(s Style, step *stepState, n runner.Notice) string {
	took := ""
	if step != nil && !step.started.IsZero() {
		took = " in " + Duration(n.Time.Sub(step.started))
	}
	switch n.Status {
	case pipelines.StatusCompleted:
		text := s.Green("completed") + took
		if v := step.bestOrNil(); v != nil {
			text += fmt.Sprintf(", best %s %s (epoch %d)", Clean(v.PrimaryName), Metric(v.PrimaryValue), v.Epoch)
		}
		return text
	case pipelines.StatusCancelled:
		return s.Yellow("cancelled") + took
	case pipelines.StatusFailed:
		text := s.Red("failed") + took
		if n.Cause != "" {
			text += " (" + string(n.Cause) + ")"
		}
		if n.Message != "" {
			text += ": " + Clean(n.Message)
		}
		return text
	}
	return string(n.Status)
}

func (s *stepState) bestOrNil() *pipelines.Validation {
	if s == nil || s.kind == pipelines.KindExport {
		return nil
	}
	return s.best()
}

// Best returns the validation of each step's best checkpoint.
func (v *Plain) Best() map[pipelines.Address]pipelines.Validation { return v.p.Best() }

// Close ends the view.
func (v *Plain) Close() {}
