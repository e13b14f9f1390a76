package pipelines

import "time"

// Status is the state of an apply, run or attempt.
type Status string

const (
	StatusPending   Status = "pending"
	StatusRunning   Status = "running"
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
	StatusSkipped   Status = "skipped" // a step it needs failed
)

// Ended reports that nothing more will happen.
func (s Status) Ended() bool { return s != StatusPending && s != StatusRunning && s != "" }

// Cause classifies why an attempt failed; retry blocks name causes.
type Cause string

const (
	CauseOOM            Cause = "oom"
	CauseNaN            Cause = "nan"
	CausePreempted      Cause = "preempted"
	CauseInfrastructure Cause = "infrastructure"
	CauseTimeout        Cause = "timeout"
	CauseData           Cause = "data"
	CauseConfig         Cause = "config"
	CauseUser           Cause = "user"
)

// Causes lists every cause, for validation and documentation.
var Causes = []Cause{CauseOOM, CauseNaN, CausePreempted, CauseInfrastructure, CauseTimeout, CauseData, CauseConfig, CauseUser}

// Apply is one execution of a plan.
type Apply struct {
	ID       string    `json:"id"`
	Pipeline string    `json:"pipeline"`
	Status   Status    `json:"status"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Commit   string    `json:"commit,omitempty"` // git commit of the sources
	Branch   string    `json:"branch,omitempty"`
	Version  string    `json:"version"` // of the runner
}

// Run is one execution of one step instance for one content key.
type Run struct {
	ID         string    `json:"id"`
	JobID      int64     `json:"job_id"`
	Pipeline   string    `json:"pipeline"`
	Address    Address   `json:"address"`
	ApplyID    string    `json:"apply_id"` // the apply that made it
	ContentKey string    `json:"content_key"`
	Status     Status    `json:"status"`
	Kind       Kind      `json:"kind"`
	Adapter    string    `json:"adapter,omitempty"`
	Model      string    `json:"model,omitempty"`
	TaskType   string    `json:"task,omitempty"`
	Parent     string    `json:"parent,omitempty"` // run that a planned resume goes on from
	Inputs     []byte    `json:"inputs"`           // the content key's inputs as canonical JSON: what the next plan compares
	Dir        string    `json:"dir"`
	Executor   string    `json:"executor,omitempty"`
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error,omitempty"`
	Cause      Cause     `json:"cause,omitempty"`
	Result     *Result   `json:"result,omitempty"` // once completed
	Progress   *Progress `json:"progress,omitempty"`
	Created    time.Time `json:"created"`
	Started    time.Time `json:"started,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
}

// Attempt is one process of a run.
type Attempt struct {
	RunID    string         `json:"run_id"`
	Number   int            `json:"number"` // counted from 1
	Status   Status         `json:"status"`
	Cause    Cause          `json:"cause,omitempty"`
	Error    string         `json:"error,omitempty"`
	ExitCode int            `json:"exit_code"`
	Dir      string         `json:"dir"`
	Executor string         `json:"executor"`
	Handle   string         `json:"handle,omitempty"` // the executor's own name for it: a pid, a Job
	Applied  *ConfigApplied `json:"applied,omitempty"`
	Started  time.Time      `json:"started"`
	Ended    time.Time      `json:"ended,omitzero"`
}
