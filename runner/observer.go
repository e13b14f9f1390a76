package runner

import (
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// NoticeType names what a Notice tells.
type NoticeType string

const (
	NoticeApplyStarted  NoticeType = "apply_started"   // Plan
	NoticeLockTakenOver NoticeType = "lock_taken_over" // Message names the dead holder
	NoticeLockWaiting   NoticeType = "lock_waiting"    // Message names the holder
	NoticeStepDecided   NoticeType = "step_decided"    // Step, as decided under apply with real results
	NoticeStepWaiting   NoticeType = "step_waiting"    // Message: for a slot, for an attempt whose state is unknown
	NoticeStepStarted   NoticeType = "step_started"    // RunID, JobID, Attempt, Dir
	NoticeStepAdopted   NoticeType = "step_adopted"    // a live attempt of an earlier apply is followed
	NoticeStepEvent     NoticeType = "step_event"      // Event
	NoticeStepRetry     NoticeType = "step_retry"      // Cause, Message; the next attempt follows
	NoticeStepEnded     NoticeType = "step_ended"      // Status, Cause, Message, Result
	NoticeStepSkipped   NoticeType = "step_skipped"    // Message: which step failed
	NoticeWarning       NoticeType = "warning"         // Problem
	NoticeCheck         NoticeType = "check"           // Check
	NoticeOutputs       NoticeType = "outputs"         // Outputs
	NoticeApplyEnded    NoticeType = "apply_ended"     // Summary
)

// Notice is one thing that happened in an apply. Its JSON is a line of the
// `apply --json` stream.
type Notice struct {
	Version int        `json:"v"` // NoticeVersion
	Type    NoticeType `json:"type"`
	Time    time.Time  `json:"time"`

	Address pipelines.Address      `json:"address,omitempty"`
	RunID   string                 `json:"run_id,omitempty"`
	JobID   int64                  `json:"job_id,omitempty"`
	Attempt int                    `json:"attempt,omitempty"`
	Dir     string                 `json:"dir,omitempty"` // of the run
	Status  pipelines.Status       `json:"status,omitempty"`
	Cause   pipelines.Cause        `json:"cause,omitempty"`
	Message string                 `json:"message,omitempty"`
	Plan    *Plan                  `json:"plan,omitempty"`
	Step    *PlannedStep           `json:"step,omitempty"`
	Event   *pipelines.Event       `json:"event,omitempty"`
	Result  *pipelines.Result      `json:"result,omitempty"`
	Problem *Problem               `json:"problem,omitempty"`
	Check   *PlannedCheck          `json:"check,omitempty"`
	Outputs map[string]OutputValue `json:"outputs,omitempty"` // sensitive values are nil
	Summary *ApplyResult           `json:"summary,omitempty"`
}

// NoticeVersion is the version of the `apply --json` stream.
const NoticeVersion = 1

// Observer is told what happens in an apply: views fulfil it. Calls come from
// one goroutine at a time and must return soon.
type Observer interface {
	Observe(Notice)
}
