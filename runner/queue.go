package runner

import (
	"context"
	"encoding/json"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Submission is an apply that was handed to a server: what to apply, and how
// far it is. Its id is also its apply's.
type Submission struct {
	ID    string         `json:"id"`
	Kind  SubmissionKind `json:"kind"`
	JobID int64          `json:"job_id,omitempty"` // of the run that it will make; 0 for whole pipelines
	RunID string         `json:"run_id,omitempty"` // of a training, once there is one

	Pipeline string `json:"pipeline"` // two of one pipeline never run at once
	Priority int    `json:"priority"` // higher first, then the older
	Resource string `json:"resource"` // what it takes of the machine: cpu, gpu
	// Work is what to do, in the form of whoever queues and does it. It holds no secrets.
	Work json.RawMessage `json:"work,omitempty"`

	State  SubmissionState  `json:"state"`
	Status pipelines.Status `json:"status"` // pending, running, and how it ended
	Ending *Ending          `json:"ending,omitempty"`
	Cancel bool             `json:"cancel,omitempty"` // somebody asked to stop it

	// Takes counts how often a process took it up, the first included.
	Takes  int        `json:"takes"`
	Owner  string     `json:"owner,omitempty"` // of the lease
	Holder LockHolder `json:"holder,omitzero"` // the process that holds it
	Until  time.Time  `json:"until,omitzero"`  // the lease's end, unless renewed

	Created time.Time `json:"created"`
	Queued  time.Time `json:"queued,omitzero"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	// Key makes a repeated request the same submission (Idempotency-Key);
	// KeyHash tells whether it asks for the same.
	Key     string `json:"-"`
	KeyHash string `json:"-"`
}

// SubmissionKind is what was asked for.
type SubmissionKind string

const (
	SubmissionApply    SubmissionKind = "apply"    // a pipeline's sources
	SubmissionTraining SubmissionKind = "training" // one training, in the platform's shape
)

// SubmissionState is where a submission stands in the queue.
type SubmissionState string

const (
	SubmissionCreated SubmissionState = "created" // waits for its start
	SubmissionQueued  SubmissionState = "queued"
	SubmissionRunning SubmissionState = "running" // leased
	SubmissionEnded   SubmissionState = "ended"
)

// Ending is how a submission's apply ended, as the command would have.
type Ending struct {
	Status   pipelines.Status `json:"status"`
	ExitCode int              `json:"exit_code"`
	Code     pipelines.Code   `json:"code,omitempty"` // of the error
	Error    string           `json:"error,omitempty"`
	Report   json.RawMessage  `json:"report,omitempty"` // the error with its diagnostics, as --json has it
	Lock     []byte           `json:"lock,omitempty"`   // the lock file's text now
}

// SubmissionFilter selects submissions; empty fields do not filter.
type SubmissionFilter struct {
	Kind     SubmissionKind
	State    SubmissionState
	Pipeline string
	Limit    int // 0 = 1000
	Offset   int
}

// Lease is what a process claims work with.
type Lease struct {
	Owner  string     // one claim's own name, so that a lost lease is known as such
	Holder LockHolder // the process; while it is known to live the lease is not taken over
	For    time.Duration
}

// Claimed is work that Claim leased. Stop: it was asked to stop and nobody
// works on it; what is left is to end its runs and itself.
type Claimed struct {
	Submission
	Stop bool
}

// Queue keeps submissions. Every method is atomic; errors carry a code as
// those of Store. Suite: storetest.RunQueue.
type Queue interface {
	// Submit files a submission in state created or queued. A training gets
	// the job id of the run to come. With a Key that was used before it returns
	// that submission and false; if that asked for something else it is a conflict.
	Submit(ctx context.Context, s Submission) (filed Submission, fresh bool, err error)
	Submission(ctx context.Context, id string) (Submission, error)
	SubmissionByJob(ctx context.Context, jobID int64) (Submission, error)
	// Submissions lists newest first, without Work.
	Submissions(ctx context.Context, f SubmissionFilter) ([]Submission, error)
	// Enqueue queues one that was created or has ended; one that is queued or
	// runs stays as it is.
	Enqueue(ctx context.Context, id string, now time.Time) (Submission, error)
	// Claim leases the next: one whose holder is gone, else the queued one of
	// the highest priority that fits into what the holder's host has, counted
	// with what runs there. A holder of this host that may live keeps its lease;
	// another host's is taken over when the lease has ended.
	Claim(ctx context.Context, l Lease, capacity map[string]int, now time.Time) (Claimed, bool, error)
	// Renew prolongs a lease and passes it to the lease's holder. A lease that
	// was lost is a conflict. It tells whether somebody asked to stop.
	Renew(ctx context.Context, id string, l Lease, now time.Time) (cancel bool, err error)
	// Describe files what became known of a submission: its pipeline and run.
	Describe(ctx context.Context, id, pipeline, runID string) error
	// Finish ends a leased submission. A lease that was lost is a conflict.
	Finish(ctx context.Context, id, owner string, e Ending, now time.Time) error
	// AskCancel ends a submission that does not run yet, and asks one that runs to stop.
	AskCancel(ctx context.Context, id string, now time.Time) (Submission, error)

	// AppendNotices files what happened in a submission's apply behind a
	// position, each position once however often it arrives.
	AppendNotices(ctx context.Context, id string, after int64, notices []Notice) error
	// Notices lists those after a position, which counts from 1.
	Notices(ctx context.Context, id string, after int64, limit int) (notices []Notice, last int64, err error)
}

// MaxTakes is how often a submission is taken up whose processes die.
const MaxTakes = 50

// Report is an event of a run that bears no place in an attempt's spool: the
// store gives it one. One whose ID came before is known already; "" = always new.
type Report struct {
	ID    string
	Event pipelines.Event
}
