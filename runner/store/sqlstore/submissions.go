package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

const submissionColumns = `id, kind, job_id, run_id, pipeline, priority, resource, state, status, ending, cancel, takes,
	owner, holder, until, created, queued, started, ended`

// Submit files a submission; see runner.Queue.
func (s *Store) Submit(ctx context.Context, n runner.Submission) (filed runner.Submission, fresh bool, err error) {
	err = s.write(ctx, "file submission "+n.ID, "queue", func(t tx) error {
		if n.Key != "" {
			var id, hash string
			err := t.row(`SELECT id, key_hash FROM submissions WHERE request_key = ?`, n.Key).Scan(&id, &hash)
			if err == nil && hash != n.KeyHash {
				return pipelines.Errorf(pipelines.CodeConflict, "the idempotency key was used for another request (%s); use a new one", id)
			}
			if err == nil {
				filed, err = oneSubmission(t, `id = ?`, id)
				return err
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if n.Kind == runner.SubmissionTraining {
			var err error
			if n.JobID, err = reserveJob(t, n.ID); err != nil {
				return err
			}
		}
		_, err := t.exec(`INSERT INTO submissions (id, kind, job_id, run_id, pipeline, priority, resource, work, state, status, cancel, takes,
			owner, holder, until, created, queued, started, ended, request_key, key_hash) VALUES (?,?,?,'',?,?,?,?,?,?,0,0,'','',0,?,?,0,0,?,?)`,
			n.ID, string(n.Kind), nullInt(n.JobID), n.Pipeline, n.Priority, n.Resource, string(n.Work), string(n.State), string(pipelines.StatusPending),
			nanos(n.Created), nanos(n.Queued), nullText(n.Key), n.KeyHash)
		n.Status = pipelines.StatusPending
		filed, fresh = n, true
		return err
	})
	return filed, fresh && err == nil, err
}

// reserveJob takes a job id off the runs' sequence, so that a job has its
// number before it has a run: neither database gives a number twice.
func reserveJob(t tx, id string) (int64, error) {
	var job int64
	name := "reserve-" + id
	err := t.row(`INSERT INTO runs (id, pipeline, address, apply_id, content_key, status, kind, adapter, model, task_type, parent,
		dir, executor, attempts, error, cause, created, started, ended)
		VALUES (?,'','','','','','','','','','','','',0,'','',0,0,0) RETURNING job_id`, name).Scan(&job)
	if err == nil {
		_, err = t.exec(`DELETE FROM runs WHERE id = ?`, name)
	}
	return job, err
}

// Submission returns a submission with its work.
func (s *Store) Submission(ctx context.Context, id string) (runner.Submission, error) {
	return s.wholeSubmission(ctx, "id", id)
}

// SubmissionByJob returns the one that has that job id.
func (s *Store) SubmissionByJob(ctx context.Context, jobID int64) (runner.Submission, error) {
	return s.wholeSubmission(ctx, "job_id", jobID)
}

func (s *Store) wholeSubmission(ctx context.Context, column string, id any) (runner.Submission, error) {
	found, err := list(ctx, s, "read submission", func(rows *sql.Rows) (runner.Submission, error) {
		var work string
		n, err := scanSubmission(rows, &work)
		n.Work = []byte(work)
		return n, err
	}, `SELECT `+submissionColumns+`, work FROM submissions WHERE `+column+` = ?`, id)
	if err != nil {
		return runner.Submission{}, err
	}
	if len(found) == 0 {
		return runner.Submission{}, changed(0, nil, "submission", fmt.Sprint(id))
	}
	return found[0], nil
}

// Submissions lists newest first, without the work.
func (s *Store) Submissions(ctx context.Context, f runner.SubmissionFilter) ([]runner.Submission, error) {
	var where []string
	var args []any
	for _, c := range []struct{ column, value string }{{"kind", string(f.Kind)}, {"state", string(f.State)}, {"pipeline", f.Pipeline}} {
		if c.value != "" {
			where, args = append(where, c.column+" = ?"), append(args, c.value)
		}
	}
	query := `SELECT ` + submissionColumns + ` FROM submissions`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 1000
	}
	return list(ctx, s, "list submissions", func(rows *sql.Rows) (runner.Submission, error) { return scanSubmission(rows) },
		query+` ORDER BY number DESC LIMIT ? OFFSET ?`, append(args, limit, max(f.Offset, 0))...)
}

// Enqueue queues a submission that waits for its start, or has ended.
func (s *Store) Enqueue(ctx context.Context, id string, now time.Time) (n runner.Submission, err error) {
	err = s.write(ctx, "queue submission "+id, "queue", func(t tx) error {
		if n, err = oneSubmission(t, `id = ?`, id); err != nil {
			return err
		}
		if n.State != runner.SubmissionCreated && n.State != runner.SubmissionEnded {
			return nil
		}
		_, err = t.exec(`UPDATE submissions SET state = ?, status = ?, ending = NULL, cancel = 0, takes = 0, queued = ?, started = 0, ended = 0 WHERE id = ?`,
			string(runner.SubmissionQueued), string(pipelines.StatusPending), nanos(now), id)
		if err == nil {
			n, err = oneSubmission(t, `id = ?`, id)
		}
		return err
	})
	return n, err
}

// Claim leases the next submission; see runner.Queue.
func (s *Store) Claim(ctx context.Context, l runner.Lease, capacity map[string]int, now time.Time) (c runner.Claimed, ok bool, err error) {
	err = s.write(ctx, "claim work", "queue", func(t tx) error {
		ok = false
		running, err := submissions(t, `state = ? ORDER BY number`, string(runner.SubmissionRunning))
		if err != nil {
			return err
		}
		free := map[string]int{}
		for resource, n := range capacity {
			free[resource] = n
		}
		busy := map[string]bool{}
		for _, n := range running {
			if abandoned(n, now) {
				return take(t, n, l, now, &c, &ok)
			}
			if n.Pipeline != "" {
				busy[n.Pipeline] = true
			}
			if n.Holder.Host == l.Holder.Host {
				free[n.Resource]--
			}
		}
		queued, err := submissions(t, `state = ? ORDER BY priority DESC, queued, number LIMIT 1000`, string(runner.SubmissionQueued))
		if err != nil {
			return err
		}
		for _, n := range queued {
			if free[n.Resource] > 0 && !busy[n.Pipeline] {
				return take(t, n, l, now, &c, &ok)
			}
		}
		return nil
	})
	return c, ok && err == nil, err
}

// abandoned reports that nobody works on a leased submission. A process of
// this machine that may live keeps its lease, however late it renews it.
func abandoned(n runner.Submission, now time.Time) bool {
	if runner.HolderGone(n.Holder) {
		return true
	}
	return now.After(n.Until) && !runner.HolderHere(n.Holder)
}

func take(t tx, n runner.Submission, l runner.Lease, now time.Time, c *runner.Claimed, ok *bool) error {
	holder, err := json.Marshal(l.Holder)
	if err != nil {
		return err
	}
	n.State, n.Status, n.Owner, n.Holder, n.Until = runner.SubmissionRunning, pipelines.StatusRunning, l.Owner, l.Holder, now.Add(l.For)
	n.Takes++
	if n.Started.IsZero() {
		n.Started = now
	}
	_, err = t.exec(`UPDATE submissions SET state = ?, status = ?, owner = ?, holder = ?, until = ?, takes = ?, started = ? WHERE id = ?`,
		string(n.State), string(n.Status), n.Owner, string(holder), nanos(n.Until), n.Takes, nanos(n.Started), n.ID)
	if err == nil {
		var work string
		err = t.row(`SELECT work FROM submissions WHERE id = ?`, n.ID).Scan(&work)
		n.Work = []byte(work)
	}
	*c, *ok = runner.Claimed{Submission: n, Stop: n.Cancel}, err == nil
	return err
}

// Renew prolongs a lease.
func (s *Store) Renew(ctx context.Context, id string, l runner.Lease, now time.Time) (cancel bool, err error) {
	err = s.write(ctx, "renew the lease of "+id, "queue", func(t tx) error {
		holder, err := json.Marshal(l.Holder)
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE submissions SET holder = ?, until = ? WHERE id = ? AND state = ? AND owner = ?`,
			string(holder), nanos(now.Add(l.For)), id, string(runner.SubmissionRunning), l.Owner)
		if err != nil {
			return err
		}
		if n == 0 {
			return lost(id)
		}
		var asked int
		err = t.row(`SELECT cancel FROM submissions WHERE id = ?`, id).Scan(&asked)
		cancel = asked != 0
		return err
	})
	return cancel, err
}

func lost(id string) error {
	return pipelines.Errorf(pipelines.CodeConflict, "the lease of submission %s passed to another process, or it has ended", id)
}

// Describe files what became known of a submission; what is empty stays.
func (s *Store) Describe(ctx context.Context, id, pipeline, runID string) error {
	return s.write(ctx, "describe submission "+id, "queue", func(t tx) error {
		n, err := t.exec(`UPDATE submissions SET pipeline = CASE WHEN ? = '' THEN pipeline ELSE ? END, run_id = CASE WHEN ? = '' THEN run_id ELSE ? END WHERE id = ?`,
			pipeline, pipeline, runID, runID, id)
		return changed(n, err, "submission", id)
	})
}

// Finish ends a leased submission.
func (s *Store) Finish(ctx context.Context, id, owner string, e runner.Ending, now time.Time) error {
	return s.write(ctx, "end submission "+id, "queue", func(t tx) error {
		body, err := text(&e)
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE submissions SET state = ?, status = ?, ending = ?, ended = ?, owner = '', until = 0 WHERE id = ? AND state = ? AND owner = ?`,
			string(runner.SubmissionEnded), string(e.Status), body, nanos(now), id, string(runner.SubmissionRunning), owner)
		if err == nil && n == 0 {
			return lost(id)
		}
		return err
	})
}

// AskCancel ends what does not run, and asks what runs to stop.
func (s *Store) AskCancel(ctx context.Context, id string, now time.Time) (n runner.Submission, err error) {
	err = s.write(ctx, "cancel submission "+id, "queue", func(t tx) error {
		if n, err = oneSubmission(t, `id = ?`, id); err != nil {
			return err
		}
		switch n.State {
		case runner.SubmissionEnded:
			return nil
		case runner.SubmissionRunning:
			_, err = t.exec(`UPDATE submissions SET cancel = 1 WHERE id = ?`, id)
		default:
			e := runner.Ending{Status: pipelines.StatusCancelled, ExitCode: 8, Code: pipelines.CodeCancelled, Error: "cancelled before it started"}
			body, terr := text(&e)
			if terr != nil {
				return terr
			}
			_, err = t.exec(`UPDATE submissions SET state = ?, status = ?, ending = ?, ended = ? WHERE id = ?`,
				string(runner.SubmissionEnded), string(e.Status), body, nanos(now), id)
		}
		if err == nil {
			n, err = oneSubmission(t, `id = ?`, id)
		}
		return err
	})
	return n, err
}

// AppendNotices files notices behind a position.
func (s *Store) AppendNotices(ctx context.Context, id string, after int64, notices []runner.Notice) error {
	return s.write(ctx, "file notices of "+id, "queue", func(t tx) error {
		if _, err := oneSubmission(t, `id = ?`, id); err != nil {
			return err
		}
		for i := range notices {
			body, err := json.Marshal(notices[i])
			if err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO notices (submission, seq, body) VALUES (?,?,?) ON CONFLICT DO NOTHING`, id, after+int64(i)+1, string(body)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Notices lists notices after a position; limit 0 = 1000.
func (s *Store) Notices(ctx context.Context, id string, after int64, limit int) ([]runner.Notice, int64, error) {
	if limit <= 0 {
		limit = 1000
	}
	last := after
	out, err := list(ctx, s, "list notices of "+id, func(rows *sql.Rows) (n runner.Notice, err error) {
		var body string
		if err = rows.Scan(&last, &body); err == nil {
			err = json.Unmarshal([]byte(body), &n)
		}
		return n, err
	}, `SELECT seq, body FROM notices WHERE submission = ? AND seq > ? ORDER BY seq LIMIT ?`, id, after, limit)
	return out, last, err
}

func submissions(t tx, where string, args ...any) ([]runner.Submission, error) {
	rows, err := t.query(`SELECT `+submissionColumns+` FROM submissions WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []runner.Submission
	for rows.Next() {
		n, err := scanSubmission(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

func oneSubmission(t tx, where string, args ...any) (runner.Submission, error) {
	found, err := submissions(t, where, args...)
	if err == nil && len(found) == 0 {
		err = changed(0, nil, "submission", fmt.Sprint(args...))
	}
	if err != nil {
		return runner.Submission{}, err
	}
	return found[0], nil
}

func scanSubmission(rows *sql.Rows, more ...any) (runner.Submission, error) {
	var n runner.Submission
	var job sql.NullInt64
	var ending sql.NullString
	var holder string
	var cancel int
	var until, created, queued, started, ended int64
	err := rows.Scan(append([]any{&n.ID, &n.Kind, &job, &n.RunID, &n.Pipeline, &n.Priority, &n.Resource, &n.State, &n.Status, &ending, &cancel, &n.Takes,
		&n.Owner, &holder, &until, &created, &queued, &started, &ended}, more...)...)
	if err != nil {
		return n, err
	}
	n.JobID, n.Cancel = job.Int64, cancel != 0
	n.Until, n.Created, n.Queued, n.Started, n.Ended = moment(until), moment(created), moment(queued), moment(started), moment(ended)
	if n.Ending, err = untext[runner.Ending](ending); err != nil {
		return n, fmt.Errorf("ending of submission %s: %w", n.ID, err)
	}
	if holder != "" {
		err = json.Unmarshal([]byte(holder), &n.Holder)
	}
	return n, err
}

func nullInt(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}
