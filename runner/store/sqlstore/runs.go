package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

const runColumns = `id, job_id, pipeline, address, apply_id, content_key, status, kind, adapter, model, task_type, parent,
	inputs, dir, executor, attempts, error, cause, result, progress, created, started, ended`

// CreateRun files a run and gives it the next JobID, or the reserved one that it names.
func (s *Store) CreateRun(ctx context.Context, r pipelines.Run) (pipelines.Run, error) {
	err := s.write(ctx, "file run "+r.ID, "run "+r.ID, func(t tx) error {
		result, err := text(r.Result)
		if err != nil {
			return err
		}
		progress, err := text(r.Progress)
		if err != nil {
			return err
		}
		columns, marks := `id, pipeline, address, apply_id, content_key, status, kind, adapter, model, task_type, parent,
			inputs, dir, executor, attempts, error, cause, result, progress, created, started, ended`, `?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?`
		values := []any{r.ID, r.Pipeline, string(r.Address), r.ApplyID, r.ContentKey, string(r.Status), string(r.Kind), r.Adapter, r.Model, r.TaskType, r.Parent,
			r.Inputs, r.Dir, r.Executor, r.Attempts, r.Error, string(r.Cause), result, progress, nanos(r.Created), nanos(r.Started), nanos(r.Ended)}
		if r.JobID != 0 {
			columns, marks, values = columns+", job_id", marks+",?", append(values, r.JobID)
		}
		err = t.row(`INSERT INTO runs (`+columns+`) VALUES (`+marks+`) RETURNING job_id`, values...).Scan(&r.JobID)
		if err != nil {
			return err
		}
		return bumpIfCompleted(t, "", r)
	})
	return r, err
}

// UpdateRun replaces a run's row, but for its id, job id, creation and
// progress, which belong to the store. A run that becomes completed moves
// the pipeline's serial.
func (s *Store) UpdateRun(ctx context.Context, r pipelines.Run) error {
	return s.write(ctx, "update run "+r.ID, "run "+r.ID, func(t tx) error {
		result, err := text(r.Result)
		if err != nil {
			return err
		}
		var before string
		err = t.row(`SELECT status FROM runs WHERE id = ?`, r.ID).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return changed(0, nil, "run", r.ID)
		}
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE runs SET pipeline = ?, address = ?, apply_id = ?, content_key = ?, status = ?, kind = ?, adapter = ?, model = ?,
			task_type = ?, parent = ?, inputs = ?, dir = ?, executor = ?, attempts = ?, error = ?, cause = ?, result = ?, started = ?, ended = ?
			WHERE id = ?`,
			r.Pipeline, string(r.Address), r.ApplyID, r.ContentKey, string(r.Status), string(r.Kind), r.Adapter, r.Model,
			r.TaskType, r.Parent, r.Inputs, r.Dir, r.Executor, r.Attempts, r.Error, string(r.Cause), result, nanos(r.Started), nanos(r.Ended), r.ID)
		if err != nil {
			return err
		}
		return bumpIfCompleted(t, pipelines.Status(before), r)
	})
}

func bumpIfCompleted(t tx, before pipelines.Status, r pipelines.Run) error {
	if r.Status != pipelines.StatusCompleted || before == pipelines.StatusCompleted {
		return nil
	}
	return bumpSerial(t, r.Pipeline)
}

// Run returns the run of that id.
func (s *Store) Run(ctx context.Context, id string) (pipelines.Run, error) {
	return s.oneRun(ctx, "id", id)
}

// RunByJob returns the run of that job id.
func (s *Store) RunByJob(ctx context.Context, jobID int64) (pipelines.Run, error) {
	return s.oneRun(ctx, "job_id", jobID)
}

func (s *Store) oneRun(ctx context.Context, column string, id any) (pipelines.Run, error) {
	runs, err := list(ctx, s, "read run", runOf, `SELECT `+runColumns+` FROM runs WHERE `+column+` = ?`, id)
	if err != nil {
		return pipelines.Run{}, err
	}
	if len(runs) == 0 {
		return pipelines.Run{}, changed(0, nil, "run", fmt.Sprint(id))
	}
	return runs[0], nil
}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f runner.RunFilter) ([]pipelines.Run, error) {
	which, args := selected(f)
	return list(ctx, s, "list runs", runOf, `SELECT `+runColumns+` FROM runs`+which, args...)
}

// selected are the clauses that select the runs of a filter, newest first.
func selected(f runner.RunFilter) (clauses string, args []any) {
	var where []string
	for _, c := range []struct{ column, value string }{
		{"pipeline", f.Pipeline}, {"address", string(f.Address)}, {"content_key", f.ContentKey},
		{"status", string(f.Status)}, {"apply_id", f.ApplyID},
	} {
		if c.value != "" {
			where, args = append(where, c.column+" = ?"), append(args, c.value)
		}
	}
	for _, c := range []struct{ column, value string }{{"commit_id", f.Commit}, {"branch", f.Branch}} {
		if c.value != "" {
			where, args = append(where, `apply_id IN (SELECT id FROM applies WHERE `+c.column+` = ?)`), append(args, c.value)
		}
	}
	if len(where) > 0 {
		clauses = ` WHERE ` + strings.Join(where, " AND ")
	}
	if f.Newest {
		clauses = ` WHERE job_id IN (SELECT MAX(job_id) FROM runs` + clauses + ` GROUP BY pipeline, address)`
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 1000
	}
	return clauses + ` ORDER BY job_id DESC LIMIT ? OFFSET ?`, append(args, limit, max(f.Offset, 0))
}

func runOf(rows *sql.Rows) (pipelines.Run, error) { return scanRun(rows) }

// scanRun reads runColumns, and what follows them into more.
func scanRun(rows *sql.Rows, more ...any) (pipelines.Run, error) {
	var r pipelines.Run
	var result, progress sql.NullString
	var created, started, ended int64
	err := rows.Scan(append([]any{&r.ID, &r.JobID, &r.Pipeline, &r.Address, &r.ApplyID, &r.ContentKey, &r.Status, &r.Kind, &r.Adapter, &r.Model,
		&r.TaskType, &r.Parent, &r.Inputs, &r.Dir, &r.Executor, &r.Attempts, &r.Error, &r.Cause, &result, &progress, &created, &started, &ended}, more...)...)
	if err != nil {
		return r, err
	}
	r.Created, r.Started, r.Ended = moment(created), moment(started), moment(ended)
	if r.Result, err = untext[pipelines.Result](result); err != nil {
		return r, fmt.Errorf("result of run %s: %w", r.ID, err)
	}
	if r.Progress, err = untext[pipelines.Progress](progress); err != nil {
		return r, fmt.Errorf("progress of run %s: %w", r.ID, err)
	}
	return r, nil
}

// Rename moves a step's runs to a new address. Without runs at from it does nothing.
func (s *Store) Rename(ctx context.Context, pipeline string, from, to pipelines.Address) error {
	return s.write(ctx, fmt.Sprintf("move %s to %s", from, to), "move "+pipeline, func(t tx) error {
		n, err := t.exec(`UPDATE runs SET address = ? WHERE pipeline = ? AND address = ?`, string(to), pipeline, string(from))
		if err != nil || n == 0 {
			return err
		}
		return bumpSerial(t, pipeline)
	})
}
