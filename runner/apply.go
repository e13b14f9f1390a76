package runner

import (
	"context"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Applier executes plans. Its Planner must be the one that planned.
type Applier struct {
	Planner
	// Dir is the state folder (".runner"); run folders lie in Dir/runs/ID.
	Dir string
	// Version is the runner's own, for the record.
	Version string
	// RetryDelay is waited before a second attempt and doubles up to 30 s;
	// 0 = 1 s.
	RetryDelay time.Duration
	// Poll is how often a lock, a slot or an attempt of unknown state is
	// looked at again; 0 = 500 ms.
	Poll time.Duration
	// Grace is given to a cancelled step to write its checkpoint; 0 = 60 s.
	Grace time.Duration
}

// ApplyOptions are the choices of one apply.
type ApplyOptions struct {
	Parallelism int           // steps at once; 0 = 4
	LockTimeout time.Duration // how long to wait for the state lock
	Observer    Observer      // nil = nobody watches
	Operation   string        // for the lock's holder: apply, resume; "" = apply
	Commit      string        // git commit and branch, for the record
	Branch      string
	ID          string // of the apply; "" = a new one. An apply of that id goes on
	// JobIDs are reserved for the first run that a step makes; see Queue.
	JobIDs map[pipelines.Address]int64
}

// ApplyResult is how an apply ended.
type ApplyResult struct {
	ApplyID string                 `json:"apply_id,omitempty"`
	Status  pipelines.Status       `json:"status"`
	Steps   []StepOutcome          `json:"steps"`
	Checks  []PlannedCheck         `json:"checks,omitempty"`
	Outputs map[string]OutputValue `json:"outputs,omitempty"`
	Started time.Time              `json:"started"`
	Ended   time.Time              `json:"ended"`
}

// StepOutcome is how one step of an apply ended.
type StepOutcome struct {
	Address  pipelines.Address `json:"address"`
	Kind     pipelines.Kind    `json:"kind"`
	Action   Action            `json:"action"` // as decided in the end
	Status   pipelines.Status  `json:"status"`
	RunID    string            `json:"run_id,omitempty"`
	JobID    int64             `json:"job_id,omitempty"`
	Attempts int               `json:"attempts,omitempty"`
	Dir      string            `json:"dir,omitempty"` // of the run
	Cause    pipelines.Cause   `json:"cause,omitempty"`
	Error    string            `json:"error,omitempty"`
	Range    pipelines.Range   `json:"range,omitzero"` // of the step's block
	Result   *pipelines.Result `json:"result,omitempty"`
}

func (a *Applier) retryDelay() time.Duration { return orElse(a.RetryDelay, time.Second) }
func (a *Applier) poll() time.Duration       { return orElse(a.Poll, 500*time.Millisecond) }
func (a *Applier) grace() time.Duration      { return orElse(a.Grace, time.Minute) }

func orElse(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Apply executes a plan under the pipeline's state lock. The result is filled
// as far as apply came, whatever the error. The error's code is locked (held
// by another), stale (the state changed since the plan), cancelled (ctx
// ended), timeout (all that failed ran out of time), step_failed, or
// check_failed (all steps are well, a check is not); errors.As finds Problems.
func (a *Applier) Apply(ctx context.Context, plan *Plan, opts ApplyOptions) (ApplyResult, error) {
	res := ApplyResult{Status: pipelines.StatusFailed, Started: a.now(), Outputs: map[string]OutputValue{}}
	if plan.decider == nil || plan.refused {
		return res, pipelines.Errorf(pipelines.CodeInvalid, "this plan cannot be applied: it was refused, or read from a file and not restored")
	}
	ap := &applying{a: a, plan: plan, opts: opts, res: &res, results: pipelines.Results{}, decisions: map[pipelines.Address]*decision{},
		planned: map[pipelines.Address]*PlannedStep{}}
	for i := range plan.Steps {
		ap.planned[plan.Steps[i].Address] = &plan.Steps[i]
	}
	unlock, err := a.lock(ctx, plan.Pipeline, opts, ap.tell)
	if err != nil {
		res.Ended = a.now()
		return res, err
	}
	err = ap.run(ctx)
	res.Ended = a.now()
	if uerr := unlock(); err == nil {
		err = uerr
	}
	ap.tell(Notice{Type: NoticeApplyEnded, Status: res.Status, Summary: &res})
	return res, err
}
