// Package runner is the engine room: it plans a pipeline against what is
// remembered, applies the plan through executors, and files what they report.
package runner

import (
	"context"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// Datasets looks at data. Package datasets fulfils it.
type Datasets interface {
	// Localize brings data that lies elsewhere here (an s3:// address, an
	// archive) and returns the spec with folders of this machine; of others
	// the spec as it is.
	Localize(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error)
	// Inspect reads every file once (results are cached by content) and
	// reports counts, corrupt files, leakage and the fingerprint.
	Inspect(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetReport, error)
	// Index lists the samples of every split, in a fixed order.
	Index(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error)
}

// Adapters finds an adapter by name. adapters.Registry fulfils it.
type Adapters interface {
	Lookup(name string) (adapters.Adapter, bool)
}

// Job is one attempt, ready to be started: everything an executor needs.
type Job struct {
	Task pipelines.Task
	// Dataset is the task's as the pipeline says it, for executors that look at
	// it elsewhere; nil = none, or the job is only followed or stopped.
	Dataset *pipelines.DatasetSpec
	// Adapter is what the step was planned with, for executors that find one
	// elsewhere; nil as with Dataset.
	Adapter *adapters.Info
	Command adapters.Command
	// Container is how the step starts in a container; nil = by Command.
	Container *adapters.Container
	Env       map[string]string           // non-secret environment of the step
	Secrets   map[string]pipelines.Secret // environment that is never stored
	Timeout   time.Duration               // of this attempt; 0 = none
	Grace     time.Duration               // between SIGTERM and SIGKILL
	Images    map[string]string           // pinned container images: reference as written -> with its digest
	// Tell takes a line for people about an attempt that waits or is in
	// trouble (no room, no image, no connection); nil = nobody listens. It
	// returns soon and may be called from any goroutine.
	Tell func(text string) `json:"-"`
}

// Sink takes events as they come home, in order within an attempt. It is
// called from one goroutine; an event may be delivered again after a restart.
type Sink func(ctx context.Context, events []pipelines.Event) error

// Exit is how an attempt's process ended.
type Exit struct {
	Code    int             // exit status; -1 when killed or unknown
	Signal  string          // "killed", …
	Cause   pipelines.Cause // what the executor knows: oom, preempted, timeout, infrastructure; "" = ask the step's result
	Message string          // for people: why, with the last lines of the log
	// Unseen: the process is gone without a result, and nobody saw how it
	// ended, because who started it was gone before.
	Unseen bool
	// Images are the container images that were used: reference as written ->
	// with its digest.
	Images map[string]string
}

// Liveness is what is known of an attempt's process.
type Liveness string

const (
	Alive   Liveness = "alive"
	Ended   Liveness = "ended"   // positive evidence
	Unknown Liveness = "unknown" // never treated as ended
)

// Executor runs attempts somewhere. Suite: runner/executor/executortest.
type Executor interface {
	// Run starts the attempt if it never was started, adopts it when it is
	// alive, and of one that has ended (while no runner lived, say) only
	// brings the rest of its events home: no attempt is started twice. It
	// feeds events to sink and returns when the attempt has ended and every
	// event is home. An error of sink is returned and leaves the step alive.
	// When ctx ends, Run stops following and leaves the step alive.
	// The folder job.Task.AttemptDir exists and holds task.json.
	Run(ctx context.Context, job Job, sink Sink) (Exit, error)
	// Cancel asks the attempt to write a checkpoint and stop, and kills it
	// after job.Grace. Run returns once it is gone. Idempotent.
	Cancel(ctx context.Context, job Job) error
	// Probe tells whether an attempt in that folder is alive.
	Probe(ctx context.Context, attempt pipelines.Attempt) (Liveness, error)
}

// Noter is an executor that has something to say at plan about a step: what
// of its block has no effect, or what takes long.
type Noter interface {
	Notes(step pipelines.Step, data *pipelines.DatasetReport) []string
}

// Refuser is an executor that knows at plan what it cannot run.
type Refuser interface {
	// Refuses tells why it cannot run a step, with its dataset as the pipeline
	// says it; nil = nothing speaks against it.
	Refuses(step pipelines.Spec) error
}

// Store remembers. Suite: runner/store/storetest. Every method is atomic;
// errors carry a pipelines.Code (not_found, conflict, locked).
type Store interface {
	// CreateApply files a new apply.
	CreateApply(ctx context.Context, a pipelines.Apply) error
	// UpdateApply replaces its status and end.
	UpdateApply(ctx context.Context, a pipelines.Apply) error

	// CreateRun files a run and returns it with its JobID set.
	CreateRun(ctx context.Context, r pipelines.Run) (pipelines.Run, error)
	UpdateRun(ctx context.Context, r pipelines.Run) error
	Run(ctx context.Context, id string) (pipelines.Run, error)
	RunByJob(ctx context.Context, jobID int64) (pipelines.Run, error)
	// Runs lists newest first.
	Runs(ctx context.Context, f RunFilter) ([]pipelines.Run, error)
	// Standings lists the same runs with what a status tells of them, as one
	// answer of the store: CI polls it.
	Standings(ctx context.Context, f RunFilter) ([]Standing, error)

	CreateAttempt(ctx context.Context, a pipelines.Attempt) error
	UpdateAttempt(ctx context.Context, a pipelines.Attempt) error
	// Attempts lists a run's attempts, first to last.
	Attempts(ctx context.Context, runID string) ([]pipelines.Attempt, error)

	// AppendEvents files events of a run, each (attempt, seq) once however
	// often it arrives, and derives rows from them: metrics (one visible row
	// a key; a resumed event supersedes earlier attempts' rows beyond its
	// global step), validations, checkpoints, artifacts, messages, progress,
	// the attempt's applied config. It returns how many were new.
	AppendEvents(ctx context.Context, runID string, events []pipelines.Event) (int, error)
	// Events lists filed events after the given position, oldest first.
	Events(ctx context.Context, runID string, after EventID, limit int) ([]pipelines.Event, error)

	Metrics(ctx context.Context, f MetricFilter) ([]MetricRow, error)
	Validations(ctx context.Context, runID string) ([]pipelines.Validation, error)
	Checkpoints(ctx context.Context, runID string) ([]pipelines.Checkpoint, error)
	Artifacts(ctx context.Context, runID string) ([]pipelines.Artifact, error)
	Messages(ctx context.Context, runID string, limit int) ([]MessageRow, error)

	// Outputs of the last apply of a pipeline.
	SetOutputs(ctx context.Context, pipeline string, values map[string]OutputValue) error
	Outputs(ctx context.Context, pipeline string) (map[string]OutputValue, error)

	// Serial counts changes of a pipeline's state (completed runs, moves); a
	// plan file made at another serial is stale.
	Serial(ctx context.Context, pipeline string) (int64, error)
	// Source tells whose sources a pipeline's state is of (Claim); "" before
	// the first apply.
	Source(ctx context.Context, pipeline string) (string, error)
	SetSource(ctx context.Context, pipeline, source string) error
	// Rename moves a step's runs to a new address.
	Rename(ctx context.Context, pipeline string, from, to pipelines.Address) error

	// Lock takes the pipeline's state lock, or returns an error made by
	// Locked, whose *LockedError names the holder. It takes nothing over:
	// the caller decides whether the holder lives (HolderGone) and unlocks it by id.
	Lock(ctx context.Context, pipeline string, holder LockHolder) error
	Unlock(ctx context.Context, pipeline, lockID string) error
	LockHolder(ctx context.Context, pipeline string) (LockHolder, bool, error)

	// AcquireSlot leases one of n slots of a named resource ("host/cpu"), or
	// reports false; a lease whose holder is gone is taken over.
	AcquireSlot(ctx context.Context, resource string, n int, holder LockHolder) (slot int, ok bool, err error)
	ReleaseSlot(ctx context.Context, resource string, slot int, lockID string) error

	Tokens

	Close() error
}

// RunFilter selects runs; empty fields do not filter.
type RunFilter struct {
	Pipeline   string
	Address    pipelines.Address
	ContentKey string
	Status     pipelines.Status
	ApplyID    string
	Commit     string // git commit of the apply that made the run
	Branch     string // and its branch
	Newest     bool   // only each step's newest of those that match
	Limit      int    // 0 = 1000
	Offset     int
}

// Standing is where a run is.
type Standing struct {
	Run pipelines.Run
	// Open is the first attempt that has not ended, without its applied config,
	// of a run that has not ended either; nil = there is none.
	Open *pipelines.Attempt
	Best *pipelines.Checkpoint // the newest of that name; nil = none, or there is a result
}

// Metrics are those of the run's result, or of its best checkpoint so far.
func (s Standing) Metrics() map[string]float64 {
	switch {
	case s.Run.Result != nil:
		return s.Run.Result.Metrics
	case s.Best != nil:
		return s.Best.Metrics
	}
	return nil
}

// EventID is an event's place within a run.
type EventID struct {
	Attempt int
	Seq     int64
}

// MetricFilter selects metric rows; Name, Split and Class empty = all.
type MetricFilter struct {
	RunID             string
	Name              string
	Split             string
	IncludeSuperseded bool
	// MaxPoints is the most that a series may have; 0 = all. Longer ones are
	// down-sampled by LTTB, and keep their lowest and highest points.
	MaxPoints int
}

// MetricRow is one value at one moment.
type MetricRow struct {
	Name       string    `json:"name"`
	Split      string    `json:"split"`
	Class      string    `json:"class,omitempty"`
	Epoch      int       `json:"epoch"`
	GlobalStep int64     `json:"global_step"`
	Value      float64   `json:"value"` // NaN and infinities survive
	Attempt    int       `json:"attempt"`
	Superseded bool      `json:"superseded,omitempty"`
	Time       time.Time `json:"time"`
}

// MessageRow is a message of a run.
type MessageRow struct {
	Time    time.Time         `json:"time"`
	Attempt int               `json:"attempt"`
	Message pipelines.Message `json:"message"`
}

// OutputValue is an output as the last apply left it.
type OutputValue struct {
	Value     any  `json:"value"`
	Sensitive bool `json:"sensitive,omitempty"`
}

// LockHolder says who holds a lock, so that others can tell whether it lives.
type LockHolder struct {
	ID        string    `json:"id"` // the lock's id, for force-unlock
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	StartTime string    `json:"start_time"` // of the process, as the kernel counts it
	BootID    string    `json:"boot_id"`
	User      string    `json:"user"`
	Operation string    `json:"operation"` // apply, resume, …
	Created   time.Time `json:"created"`
}

// LockedError says who holds the lock that was wanted.
type LockedError struct {
	Pipeline string
	Holder   LockHolder
}
