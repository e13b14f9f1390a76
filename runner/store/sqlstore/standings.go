package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Standings lists runs, newest first, each with its open attempt and its
// best checkpoint, by one query.
func (s *Store) Standings(ctx context.Context, f runner.RunFilter) ([]runner.Standing, error) {
	const open = `('', 'pending', 'running')`
	which, args := selected(f)
	return list(ctx, s, "list where runs are", scanStanding, `SELECT `+runColumns+`, a_number, a_status, a_dir, a_executor, a_handle, a_started,
			CASE WHEN result IS NULL THEN (SELECT e.body FROM checkpoints c JOIN events e ON e.run_id = c.run_id AND e.attempt = c.attempt AND e.seq = c.seq
				WHERE c.run_id = r.id AND c.name = 'best' AND c.superseded = 0 ORDER BY c.attempt DESC, c.seq DESC LIMIT 1) END
		FROM (SELECT `+runColumns+` FROM runs`+which+`) AS r
		LEFT JOIN (SELECT run_id AS a_run, number AS a_number, status AS a_status, dir AS a_dir, executor AS a_executor, handle AS a_handle, started AS a_started
			FROM attempts WHERE status IN `+open+`) AS a
			ON r.status IN `+open+` AND a_run = r.id
			AND a_number = (SELECT MIN(number) FROM attempts WHERE run_id = r.id AND status IN `+open+`)
		ORDER BY job_id DESC`, args...)
}

func scanStanding(rows *sql.Rows) (runner.Standing, error) {
	var st runner.Standing
	var number, started sql.NullInt64
	var status, dir, executor, handle, best sql.NullString
	var err error
	if st.Run, err = scanRun(rows, &number, &status, &dir, &executor, &handle, &started, &best); err != nil {
		return st, err
	}
	if number.Valid {
		st.Open = &pipelines.Attempt{RunID: st.Run.ID, Number: int(number.Int64), Status: pipelines.Status(status.String),
			Dir: dir.String, Executor: executor.String, Handle: handle.String, Started: moment(started.Int64)}
	}
	if best.Valid {
		var e pipelines.Event
		if err := json.Unmarshal([]byte(best.String), &e); err != nil {
			return st, fmt.Errorf("best checkpoint of run %s: %w", st.Run.ID, err)
		}
		st.Best = e.Checkpoint
		st.Best.RunID = st.Run.ID
	}
	return st, nil
}
