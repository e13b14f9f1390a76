package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
)

// CreateAttempt files an attempt of a run that exists.
func (s *Store) CreateAttempt(ctx context.Context, a pipelines.Attempt) error {
	return s.write(ctx, fmt.Sprintf("file attempt %d of run %s", a.Number, a.RunID), "run "+a.RunID, func(t tx) error {
		if err := runExists(t, a.RunID); err != nil {
			return err
		}
		applied, err := text(a.Applied)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO attempts (run_id, number, status, cause, error, exit_code, dir, executor, handle, applied, started, ended)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
			a.RunID, a.Number, string(a.Status), string(a.Cause), a.Error, a.ExitCode, a.Dir, a.Executor, a.Handle, applied, nanos(a.Started), nanos(a.Ended))
		return err
	})
}

// UpdateAttempt replaces an attempt's row. Without Applied, what its
// config_applied event said stays.
func (s *Store) UpdateAttempt(ctx context.Context, a pipelines.Attempt) error {
	return s.write(ctx, fmt.Sprintf("update attempt %d of run %s", a.Number, a.RunID), "run "+a.RunID, func(t tx) error {
		applied, err := text(a.Applied)
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE attempts SET status = ?, cause = ?, error = ?, exit_code = ?, dir = ?, executor = ?, handle = ?,
			applied = COALESCE(?, applied), started = ?, ended = ? WHERE run_id = ? AND number = ?`,
			string(a.Status), string(a.Cause), a.Error, a.ExitCode, a.Dir, a.Executor, a.Handle, applied, nanos(a.Started), nanos(a.Ended), a.RunID, a.Number)
		return changed(n, err, "attempt", fmt.Sprintf("%s/%d", a.RunID, a.Number))
	})
}

// Attempts lists a run's attempts, first to last.
func (s *Store) Attempts(ctx context.Context, runID string) ([]pipelines.Attempt, error) {
	return list(ctx, s, "list attempts of run "+runID, scanAttempt,
		`SELECT a.run_id, a.number, a.status, a.cause, a.error, a.exit_code, a.dir, a.executor, a.handle, a.applied,
			(SELECT e.body FROM events e WHERE e.run_id = a.run_id AND e.attempt = a.number AND e.type = 'config_applied' ORDER BY e.seq DESC LIMIT 1),
			a.started, a.ended
		FROM attempts a WHERE a.run_id = ? ORDER BY a.number`, runID)
}

func scanAttempt(rows *sql.Rows) (pipelines.Attempt, error) {
	var a pipelines.Attempt
	var applied, event sql.NullString
	var started, ended int64
	err := rows.Scan(&a.RunID, &a.Number, &a.Status, &a.Cause, &a.Error, &a.ExitCode, &a.Dir, &a.Executor, &a.Handle, &applied, &event, &started, &ended)
	if err != nil {
		return a, err
	}
	a.Started, a.Ended = moment(started), moment(ended)
	if a.Applied, err = untext[pipelines.ConfigApplied](applied); err != nil {
		return a, fmt.Errorf("applied config: %w", err)
	}
	if a.Applied == nil && event.Valid {
		var e pipelines.Event
		if err := json.Unmarshal([]byte(event.String), &e); err != nil {
			return a, fmt.Errorf("applied config: %w", err)
		}
		a.Applied = e.ConfigApplied
	}
	return a, nil
}
