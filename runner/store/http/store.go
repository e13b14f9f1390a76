package storehttp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
)

var _ runner.Store = (*Store)(nil)

// Store fulfils runner.Store over a server.
type Store struct{ c *client.Client }

// Open makes a store of the server at address, whose write token is given.
// It asks once, so that a wrong address or token is known from the start.
func Open(ctx context.Context, address, token string) (*Store, error) {
	c, err := client.New(address, token)
	if err != nil {
		return nil, err
	}
	s := &Store{c}
	_, err = s.call(ctx, "serial", Call{})
	return s, err
}

// again are the methods whose repetition changes nothing. The others are sent
// once: a caller that gets no answer learns that it is not known.
var again = map[string]bool{
	"run": true, "run_by_job": true, "runs": true, "attempts": true, "events": true, "metrics": true, "validations": true, "checkpoints": true,
	"artifacts": true, "messages": true, "outputs": true, "serial": true, "source": true, "lock_holder": true,
	"append_events": true, "update_run": true, "update_apply": true, "update_attempt": true, "set_outputs": true, "set_source": true, "release_slot": true,
}

func (s *Store) call(ctx context.Context, method string, c Call) (a Answer, err error) {
	path := "/api/v1/store/" + method
	if again[method] {
		err = s.c.Post(ctx, path, "", c, &a)
	} else {
		err = s.c.PostOnce(ctx, path, c, &a)
	}
	return a, err
}

// Close ends nothing: the server goes on.
func (s *Store) Close() error { return nil }

func (s *Store) CreateApply(ctx context.Context, a pipelines.Apply) error {
	_, err := s.call(ctx, "create_apply", Call{Apply: &a})
	return err
}

func (s *Store) UpdateApply(ctx context.Context, a pipelines.Apply) error {
	_, err := s.call(ctx, "update_apply", Call{Apply: &a})
	return err
}

func (s *Store) CreateRun(ctx context.Context, r pipelines.Run) (pipelines.Run, error) {
	return runOf(s.call(ctx, "create_run", Call{Run: &r}))
}

func (s *Store) UpdateRun(ctx context.Context, r pipelines.Run) error {
	_, err := s.call(ctx, "update_run", Call{Run: &r})
	return err
}

func (s *Store) Run(ctx context.Context, id string) (pipelines.Run, error) {
	return runOf(s.call(ctx, "run", Call{ID: id}))
}

func (s *Store) RunByJob(ctx context.Context, jobID int64) (pipelines.Run, error) {
	return runOf(s.call(ctx, "run_by_job", Call{JobID: jobID}))
}

func runOf(a Answer, err error) (pipelines.Run, error) {
	if err == nil && a.Run == nil {
		err = fmt.Errorf("the server's answer has no run")
	}
	if err != nil {
		return pipelines.Run{}, err
	}
	return *a.Run, nil
}

func (s *Store) Runs(ctx context.Context, f runner.RunFilter) ([]pipelines.Run, error) {
	a, err := s.call(ctx, "runs", Call{Runs: &f})
	return filled(a.Runs), err
}

func (s *Store) Standings(ctx context.Context, f runner.RunFilter) ([]runner.Standing, error) {
	a, err := s.call(ctx, "standings", Call{Runs: &f})
	return filled(a.Standings), err
}

func (s *Store) CreateAttempt(ctx context.Context, at pipelines.Attempt) error {
	_, err := s.call(ctx, "create_attempt", Call{Attempt: &at})
	return err
}

func (s *Store) UpdateAttempt(ctx context.Context, at pipelines.Attempt) error {
	_, err := s.call(ctx, "update_attempt", Call{Attempt: &at})
	return err
}

func (s *Store) Attempts(ctx context.Context, runID string) ([]pipelines.Attempt, error) {
	a, err := s.call(ctx, "attempts", Call{ID: runID})
	return filled(a.Attempts), err
}

// batchBytes is how much of events goes into one request; the server's bound
// is 8 MB.
const batchBytes = 2 << 20

// AppendEvents sends events in batches. One that fails leaves those before it
// filed: they are known by their place when the caller sends all again.
func (s *Store) AppendEvents(ctx context.Context, runID string, events []pipelines.Event) (int, error) {
	total := 0
	for first := true; first || len(events) > 0; first = false {
		n, size := 0, 0
		for n < len(events) {
			text, err := json.Marshal(events[n])
			if err != nil {
				return total, err
			}
			if size += len(text); size > batchBytes && n > 0 {
				break
			}
			n++
		}
		a, err := s.call(ctx, "append_events", Call{ID: runID, Events: events[:n]})
		if err != nil {
			return total, err
		}
		total += int(a.Count)
		events = events[n:]
	}
	return total, nil
}

func (s *Store) Events(ctx context.Context, runID string, after runner.EventID, limit int) ([]pipelines.Event, error) {
	a, err := s.call(ctx, "events", Call{ID: runID, After: after, Limit: limit})
	return filled(a.Events), err
}

func (s *Store) Metrics(ctx context.Context, f runner.MetricFilter) ([]runner.MetricRow, error) {
	a, err := s.call(ctx, "metrics", Call{Metrics: &f})
	out := make([]runner.MetricRow, len(a.Metrics))
	for i, r := range a.Metrics {
		out[i] = r.MetricRow
		out[i].Value = float64(r.Value)
	}
	return out, err
}

func (s *Store) Validations(ctx context.Context, runID string) ([]pipelines.Validation, error) {
	a, err := s.call(ctx, "validations", Call{ID: runID})
	return filled(a.Validations), err
}

func (s *Store) Checkpoints(ctx context.Context, runID string) ([]pipelines.Checkpoint, error) {
	a, err := s.call(ctx, "checkpoints", Call{ID: runID})
	return filled(a.Checkpoints), err
}

func (s *Store) Artifacts(ctx context.Context, runID string) ([]pipelines.Artifact, error) {
	a, err := s.call(ctx, "artifacts", Call{ID: runID})
	return filled(a.Artifacts), err
}

func (s *Store) Messages(ctx context.Context, runID string, limit int) ([]runner.MessageRow, error) {
	a, err := s.call(ctx, "messages", Call{ID: runID, Limit: limit})
	return filled(a.Messages), err
}

func (s *Store) SetOutputs(ctx context.Context, pipeline string, values map[string]runner.OutputValue) error {
	_, err := s.call(ctx, "set_outputs", Call{Pipeline: pipeline, Outputs: values})
	return err
}

func (s *Store) Outputs(ctx context.Context, pipeline string) (map[string]runner.OutputValue, error) {
	a, err := s.call(ctx, "outputs", Call{Pipeline: pipeline})
	if a.Outputs == nil {
		a.Outputs = map[string]runner.OutputValue{}
	}
	return a.Outputs, err
}

func (s *Store) Serial(ctx context.Context, pipeline string) (int64, error) {
	a, err := s.call(ctx, "serial", Call{Pipeline: pipeline})
	return a.Count, err
}

func (s *Store) Source(ctx context.Context, pipeline string) (string, error) {
	a, err := s.call(ctx, "source", Call{Pipeline: pipeline})
	return a.Text, err
}

func (s *Store) SetSource(ctx context.Context, pipeline, source string) error {
	_, err := s.call(ctx, "set_source", Call{Pipeline: pipeline, Source: source})
	return err
}

func (s *Store) Rename(ctx context.Context, pipeline string, from, to pipelines.Address) error {
	_, err := s.call(ctx, "rename", Call{Pipeline: pipeline, From: from, To: to})
	return err
}

func (s *Store) Lock(ctx context.Context, pipeline string, holder runner.LockHolder) error {
	a, err := s.call(ctx, "lock", Call{Pipeline: pipeline, Holder: holder})
	if err == nil && a.Locked != nil {
		err = runner.Locked(pipeline, *a.Locked)
	}
	return err
}

func (s *Store) Unlock(ctx context.Context, pipeline, lockID string) error {
	_, err := s.call(ctx, "unlock", Call{Pipeline: pipeline, LockID: lockID})
	return err
}

func (s *Store) LockHolder(ctx context.Context, pipeline string) (runner.LockHolder, bool, error) {
	a, err := s.call(ctx, "lock_holder", Call{Pipeline: pipeline})
	return value(a.Holder), a.OK, err
}

func (s *Store) AcquireSlot(ctx context.Context, resource string, n int, holder runner.LockHolder) (int, bool, error) {
	a, err := s.call(ctx, "acquire_slot", Call{Resource: resource, Count: n, Holder: holder})
	return a.Slot, a.OK, err
}

func (s *Store) ReleaseSlot(ctx context.Context, resource string, slot int, lockID string) error {
	_, err := s.call(ctx, "release_slot", Call{Resource: resource, Slot: slot, LockID: lockID})
	return err
}

func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Tokens are the server's own business: nobody gets one through this store.

func (s *Store) CreateToken(context.Context, runner.Token) error { return noTokens }

func (s *Store) Tokens(context.Context) ([]runner.Token, error) { return nil, noTokens }

func (s *Store) TokenByHash(context.Context, string) (runner.Token, error) {
	return runner.Token{}, noTokens
}

func (s *Store) UseToken(context.Context, string, time.Time) error { return noTokens }

func (s *Store) RevokeToken(context.Context, string, time.Time) error { return noTokens }

var noTokens error = pipelines.Errorf(pipelines.CodeUnavailable, "a server's tokens are not in the state that it keeps for others; use its own routes for them")
