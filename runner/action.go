package runner

// Action is what a plan does with a step.
type Action string

const (
	ActionRun          Action = "run"           // nothing at this address yet, or an evaluation, export or step anew
	ActionReuse        Action = "reuse"         // a completed run with the same content key exists
	ActionResume       Action = "resume"        // continue an interrupted run as attempt N+1
	ActionRetrain      Action = "retrain"       // train anew, because something changed or it was asked for
	ActionResumeChange Action = "resume_change" // a new run that goes on from the last one's checkpoint with changed fields
	ActionReevaluate   Action = "re-evaluate"   // evaluate anew, because something changed
	ActionReexport     Action = "re-export"     // export anew, because something changed
	ActionDecideLater  Action = "decided_after" // needs results of steps that are not run yet; apply decides
)

// Changes reports whether the action does work (a decided_after may).
func (a Action) Changes() bool { return a != ActionReuse }

// Symbol is the mark that stands before a step in a plan printed for people.
func (a Action) Symbol() string {
	switch a {
	case ActionReuse:
		return "="
	case ActionResume, ActionResumeChange:
		return "~"
	case ActionRetrain, ActionReevaluate, ActionReexport:
		return "-/+"
	case ActionDecideLater:
		return "?"
	default:
		return "+"
	}
}
