package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// reportBase is where the places of reports begin, so that they never meet
// those of a spool of the same attempt.
const reportBase = 1 << 40

// AppendReports gives each report a place, the same whenever its name comes
// again, and files the events there. Should it be cut short in between, the
// next try goes on: a place is taken once and an event filed once.
func (s *Store) AppendReports(ctx context.Context, runID string, reports []runner.Report) (int, error) {
	events := make([]pipelines.Event, len(reports))
	err := s.write(ctx, "place reports of run "+runID, "run "+runID, func(t tx) error {
		if err := runExists(t, runID); err != nil {
			return err
		}
		var attempt int
		var last int64
		err := t.row(`SELECT COALESCE(MAX(attempts), 0) FROM runs WHERE id = ?`, runID).Scan(&attempt)
		if err == nil {
			err = t.row(`SELECT COALESCE(MAX(seq), 0) FROM report_ids WHERE run_id = ?`, runID).Scan(&last)
		}
		if err != nil {
			return err
		}
		last = max(last, reportBase)
		for i, r := range reports {
			e := r.Event
			id := r.ID
			if id == "" {
				id = rand.Text()
			}
			err := t.row(`SELECT attempt, seq FROM report_ids WHERE run_id = ? AND id = ?`, runID, id).Scan(&e.Attempt, &e.Seq)
			if errors.Is(err, sql.ErrNoRows) {
				last++
				e.Attempt, e.Seq = max(attempt, 1), last
				_, err = t.exec(`INSERT INTO report_ids (run_id, id, attempt, seq) VALUES (?,?,?,?)`, runID, id, e.Attempt, e.Seq)
			}
			if err != nil {
				return err
			}
			events[i] = e
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s.AppendEvents(ctx, runID, events)
}
