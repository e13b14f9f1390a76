package sqlstore

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

// CreateApply files a new apply.
func (s *Store) CreateApply(ctx context.Context, a pipelines.Apply) error {
	return s.write(ctx, "file apply "+a.ID, "apply "+a.ID, func(t tx) error {
		_, err := t.exec(`INSERT INTO applies (id, pipeline, status, started, ended, commit_id, branch, version) VALUES (?,?,?,?,?,?,?,?)`,
			a.ID, a.Pipeline, string(a.Status), nanos(a.Started), nanos(a.Ended), a.Commit, a.Branch, a.Version)
		return err
	})
}

// UpdateApply replaces an apply's status and end.
func (s *Store) UpdateApply(ctx context.Context, a pipelines.Apply) error {
	return s.write(ctx, "update apply "+a.ID, "apply "+a.ID, func(t tx) error {
		n, err := t.exec(`UPDATE applies SET status = ?, ended = ? WHERE id = ?`, string(a.Status), nanos(a.Ended), a.ID)
		return changed(n, err, "apply", a.ID)
	})
}
