// Package storehttp keeps the state on a `runner serve`, so that a machine that
// is thrown away keeps its history: each method of runner.Store is a request to
// /api/v1/store/METHOD. Both sides of the wire stand in this package: Store asks,
// Serve answers over another store.
package storehttp

import (
	"context"
	"errors"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Call is the arguments of any method; each takes those that it needs.
type Call struct {
	Apply    *pipelines.Apply              `json:"apply,omitempty"`
	Run      *pipelines.Run                `json:"run,omitempty"`
	Attempt  *pipelines.Attempt            `json:"attempt,omitempty"`
	ID       string                        `json:"id,omitempty"`
	JobID    int64                         `json:"job_id,omitempty"`
	Runs     *runner.RunFilter             `json:"runs,omitempty"`
	Events   []pipelines.Event             `json:"events,omitempty"`
	After    runner.EventID                `json:"after,omitzero"`
	Limit    int                           `json:"limit,omitempty"`
	Metrics  *runner.MetricFilter          `json:"metrics,omitempty"`
	Pipeline string                        `json:"pipeline,omitempty"`
	Outputs  map[string]runner.OutputValue `json:"outputs,omitempty"`
	Source   string                        `json:"source,omitempty"`
	From     pipelines.Address             `json:"from,omitempty"`
	To       pipelines.Address             `json:"to,omitempty"`
	Holder   runner.LockHolder             `json:"holder,omitzero"`
	Resource string                        `json:"resource,omitempty"`
	Count    int                           `json:"count,omitempty"`
	Slot     int                           `json:"slot,omitempty"`
	LockID   string                        `json:"lock_id,omitempty"`
}

// Answer is the result of any method.
type Answer struct {
	Run         *pipelines.Run                `json:"run,omitempty"`
	Runs        []pipelines.Run               `json:"runs,omitempty"`
	Standings   []runner.Standing             `json:"standings,omitempty"`
	Attempts    []pipelines.Attempt           `json:"attempts,omitempty"`
	Count       int64                         `json:"count,omitempty"`
	Events      []pipelines.Event             `json:"events,omitempty"`
	Metrics     []metricRow                   `json:"metrics,omitempty"`
	Validations []pipelines.Validation        `json:"validations,omitempty"`
	Checkpoints []pipelines.Checkpoint        `json:"checkpoints,omitempty"`
	Artifacts   []pipelines.Artifact          `json:"artifacts,omitempty"`
	Messages    []runner.MessageRow           `json:"messages,omitempty"`
	Outputs     map[string]runner.OutputValue `json:"outputs,omitempty"`
	Text        string                        `json:"text,omitempty"`
	Holder      *runner.LockHolder            `json:"holder,omitempty"`
	Locked      *runner.LockHolder            `json:"locked,omitempty"` // who holds the lock that was wanted
	OK          bool                          `json:"ok,omitempty"`
	Slot        int                           `json:"slot,omitempty"`
}

// metricRow is a runner.MetricRow whose value survives JSON.
type metricRow struct {
	runner.MetricRow
	Value pipelines.Float `json:"value"`
}

type method func(context.Context, runner.Store, Call) (Answer, error)

// methods lists what can be called.
var methods = map[string]method{
	"create_apply": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.CreateApply(ctx, value(c.Apply))
	},
	"update_apply": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.UpdateApply(ctx, value(c.Apply))
	},
	"create_run": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.CreateRun(ctx, value(c.Run))
		return Answer{Run: &r}, err
	},
	"update_run": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.UpdateRun(ctx, value(c.Run))
	},
	"run": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Run(ctx, c.ID)
		return Answer{Run: &r}, err
	},
	"run_by_job": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.RunByJob(ctx, c.JobID)
		return Answer{Run: &r}, err
	},
	"runs": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Runs(ctx, value(c.Runs))
		return Answer{Runs: r}, err
	},
	"standings": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Standings(ctx, value(c.Runs))
		return Answer{Standings: r}, err
	},
	"create_attempt": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.CreateAttempt(ctx, value(c.Attempt))
	},
	"update_attempt": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.UpdateAttempt(ctx, value(c.Attempt))
	},
	"attempts": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Attempts(ctx, c.ID)
		return Answer{Attempts: r}, err
	},
	"append_events": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		n, err := s.AppendEvents(ctx, c.ID, c.Events)
		return Answer{Count: int64(n)}, err
	},
	"events": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Events(ctx, c.ID, c.After, c.Limit)
		return Answer{Events: r}, err
	},
	"metrics": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		rows, err := s.Metrics(ctx, value(c.Metrics))
		out := make([]metricRow, len(rows))
		for i, r := range rows {
			out[i] = metricRow{MetricRow: r, Value: pipelines.Float(r.Value)}
		}
		return Answer{Metrics: out}, err
	},
	"validations": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Validations(ctx, c.ID)
		return Answer{Validations: r}, err
	},
	"checkpoints": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Checkpoints(ctx, c.ID)
		return Answer{Checkpoints: r}, err
	},
	"artifacts": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Artifacts(ctx, c.ID)
		return Answer{Artifacts: r}, err
	},
	"messages": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Messages(ctx, c.ID, c.Limit)
		return Answer{Messages: r}, err
	},
	"set_outputs": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.SetOutputs(ctx, c.Pipeline, c.Outputs)
	},
	"outputs": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Outputs(ctx, c.Pipeline)
		return Answer{Outputs: r}, err
	},
	"serial": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		n, err := s.Serial(ctx, c.Pipeline)
		return Answer{Count: n}, err
	},
	"source": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		r, err := s.Source(ctx, c.Pipeline)
		return Answer{Text: r}, err
	},
	"set_source": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.SetSource(ctx, c.Pipeline, c.Source)
	},
	"rename": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.Rename(ctx, c.Pipeline, c.From, c.To)
	},
	"lock": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		err := s.Lock(ctx, c.Pipeline, c.Holder)
		var locked *runner.LockedError
		if errors.As(err, &locked) {
			return Answer{Locked: &locked.Holder}, nil
		}
		return Answer{}, err
	},
	"unlock": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.Unlock(ctx, c.Pipeline, c.LockID)
	},
	"lock_holder": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		h, ok, err := s.LockHolder(ctx, c.Pipeline)
		return Answer{Holder: &h, OK: ok}, err
	},
	"acquire_slot": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		slot, ok, err := s.AcquireSlot(ctx, c.Resource, c.Count, c.Holder)
		return Answer{Slot: slot, OK: ok}, err
	},
	"release_slot": func(ctx context.Context, s runner.Store, c Call) (Answer, error) {
		return Answer{}, s.ReleaseSlot(ctx, c.Resource, c.Slot, c.LockID)
	},
}

// Serve answers a call from a store.
func Serve(ctx context.Context, s runner.Store, name string, c Call) (Answer, error) {
	m, ok := methods[name]
	if !ok {
		return Answer{}, pipelines.Errorf(pipelines.CodeNotFound, "a store has no method %q", name)
	}
	return m(ctx, s, c)
}

func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
