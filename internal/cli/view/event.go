package view

import (
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
)

// Event is an event of a run in one line; "" for progress, which is no history.
func Event(s Style, e pipelines.Event) string {
	switch {
	case e.ConfigApplied != nil:
		return fmt.Sprintf("attempt %d: config applied, %d values (proof: %s)", e.Attempt, len(e.ConfigApplied.Values), e.ConfigApplied.Proof)
	case e.Resumed != nil:
		return fmt.Sprintf("attempt %d: goes on after epoch %d, step %d", e.Attempt, e.Resumed.Epoch, e.Resumed.GlobalStep)
	case e.Status != nil:
		text := fmt.Sprintf("attempt %d: %s", e.Attempt, e.Status.State)
		if e.Status.Error != "" {
			text += ": " + Clean(e.Status.Error)
		}
		return text
	case e.Validation != nil:
		return epochText(nil, e.Validation)
	case e.Checkpoint != nil:
		return Clean(fmt.Sprintf("checkpoint %s (epoch %d, step %d)", e.Checkpoint.Name, e.Checkpoint.Epoch, e.Checkpoint.GlobalStep))
	case e.Message != nil:
		return messageText(s, *e.Message)
	case e.Result != nil:
		text := "result: " + string(e.Result.State)
		if e.Result.StoppedBy != "" {
			text += " (stopped by " + Clean(e.Result.StoppedBy) + ")"
		}
		if e.Result.Error != "" {
			text += ": " + Clean(e.Result.Error)
		}
		return text
	}
	return ""
}

func messageText(s Style, m pipelines.Message) string {
	switch m.Level {
	case "warning":
		return s.Yellow("warning: ") + Clean(m.Text)
	case "error":
		return s.Red("error: ") + Clean(m.Text)
	}
	return Clean(m.Text)
}
