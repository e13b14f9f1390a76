package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Lock takes a pipeline's state lock. While another holds it the error has
// CodeLocked and wraps a *runner.LockedError. Whether that holder still lives
// is for the caller to judge.
func (s *Store) Lock(ctx context.Context, pipeline string, holder runner.LockHolder) error {
	return s.write(ctx, "lock pipeline "+pipeline, "lock "+pipeline, func(t tx) error {
		body, err := json.Marshal(holder)
		if err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO locks (pipeline, lock_id, holder) VALUES (?,?,?) ON CONFLICT DO NOTHING`, pipeline, holder.ID, string(body))
		if err != nil || n == 1 {
			return err
		}
		other, _, err := readHolder(t.row(`SELECT holder FROM locks WHERE pipeline = ?`, pipeline))
		if err != nil {
			return err
		}
		return runner.Locked(pipeline, other)
	})
}

// Unlock gives a lock back. A lock with another id stays and is a conflict;
// no lock at all is not found.
func (s *Store) Unlock(ctx context.Context, pipeline, lockID string) error {
	return s.write(ctx, "unlock pipeline "+pipeline, "lock "+pipeline, func(t tx) error {
		n, err := t.exec(`DELETE FROM locks WHERE pipeline = ? AND lock_id = ?`, pipeline, lockID)
		if err != nil || n == 1 {
			return err
		}
		other, held, err := readHolder(t.row(`SELECT holder FROM locks WHERE pipeline = ?`, pipeline))
		if err != nil {
			return err
		}
		if !held {
			return pipelines.Errorf(pipelines.CodeNotFound, "the state of pipeline %q is not locked", pipeline)
		}
		return pipelines.Errorf(pipelines.CodeConflict, "the lock on pipeline %q has id %s, not %s", pipeline, other.ID, lockID)
	})
}

// LockHolder tells who holds a pipeline's lock; ok is false when nobody does.
func (s *Store) LockHolder(ctx context.Context, pipeline string) (h runner.LockHolder, ok bool, err error) {
	h, ok, err = readHolder(s.row(ctx, `SELECT holder FROM locks WHERE pipeline = ?`, pipeline))
	return h, ok, s.fail("read the lock of "+pipeline, err)
}

func readHolder(row interface{ Scan(dest ...any) error }) (h runner.LockHolder, ok bool, err error) {
	var body string
	if err := row.Scan(&body); errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	} else if err != nil {
		return h, false, err
	}
	return h, true, json.Unmarshal([]byte(body), &h)
}
