package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Validations lists a run's validation passes in the order of training,
// without superseded ones.
func (s *Store) Validations(ctx context.Context, runID string) ([]pipelines.Validation, error) {
	events, err := list(ctx, s, "list validations of run "+runID, scanEvent,
		`SELECT e.body FROM validation_results v JOIN events e ON e.run_id = v.run_id AND e.attempt = v.attempt AND e.seq = v.seq
		WHERE v.run_id = ? AND v.superseded = 0 AND NOT EXISTS (
			SELECT 1 FROM validation_results o WHERE o.run_id = v.run_id AND o.epoch = v.epoch AND o.global_step = v.global_step
			AND o.split = v.split AND o.attempt = v.attempt AND o.seq > v.seq)
		ORDER BY v.global_step, v.epoch, v.split`, runID)
	out := make([]pipelines.Validation, 0, len(events))
	for _, e := range events {
		out = append(out, *e.Validation)
	}
	return out, err
}

// Checkpoints lists the newest announcement of each checkpoint's name, in
// the order of training. An announcement says what was written; retention
// may have removed its files since.
func (s *Store) Checkpoints(ctx context.Context, runID string) ([]pipelines.Checkpoint, error) {
	events, err := list(ctx, s, "list checkpoints of run "+runID, scanEvent,
		`SELECT e.body FROM checkpoints c JOIN events e ON e.run_id = c.run_id AND e.attempt = c.attempt AND e.seq = c.seq
		WHERE c.run_id = ? AND c.superseded = 0 AND NOT EXISTS (
			SELECT 1 FROM checkpoints o WHERE o.run_id = c.run_id AND o.name = c.name AND o.superseded = 0
			AND (o.attempt > c.attempt OR o.attempt = c.attempt AND o.seq > c.seq))
		ORDER BY c.global_step, c.attempt, c.seq`, runID)
	out := make([]pipelines.Checkpoint, 0, len(events))
	for _, e := range events {
		c := *e.Checkpoint
		if c.RunID == "" {
			c.RunID = runID
		}
		out = append(out, c)
	}
	return out, err
}

// Artifacts lists a run's artifacts by name.
func (s *Store) Artifacts(ctx context.Context, runID string) ([]pipelines.Artifact, error) {
	return list(ctx, s, "list artifacts of run "+runID, func(rows *sql.Rows) (a pipelines.Artifact, err error) {
		var body string
		if err = rows.Scan(&body); err == nil {
			err = json.Unmarshal([]byte(body), &a)
		}
		return a, err
	}, `SELECT body FROM artifacts WHERE run_id = ? ORDER BY name`, runID)
}

// Messages lists the newest messages of a run, oldest of them first; limit 0 = 1000.
func (s *Store) Messages(ctx context.Context, runID string, limit int) ([]runner.MessageRow, error) {
	if limit <= 0 {
		limit = 1000
	}
	rows, err := list(ctx, s, "list messages of run "+runID, func(rows *sql.Rows) (m runner.MessageRow, err error) {
		var at int64
		err = rows.Scan(&at, &m.Attempt, &m.Message.Level, &m.Message.Text)
		m.Time = moment(at)
		return m, err
	}, `SELECT time, attempt, level, body FROM messages WHERE run_id = ? ORDER BY attempt DESC, seq DESC LIMIT ?`, runID, limit)
	slices.Reverse(rows)
	return rows, err
}

func scanEvent(rows *sql.Rows) (e pipelines.Event, err error) {
	var body string
	if err = rows.Scan(&body); err == nil {
		err = json.Unmarshal([]byte(body), &e)
	}
	return e, err
}
