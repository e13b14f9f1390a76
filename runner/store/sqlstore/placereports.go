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
	ids := make([]string, len(reports))
	for i, r := range reports {
		ids[i] = plainText(r.ID)
		if r.ID == "" {
			ids[i] = rand.Text()
		}
	}
	places := make(map[string]runner.EventID, len(reports))
	err := s.write(ctx, "place reports of run "+runID, "run "+runID, func(t tx) error {
		var attempt int
		var last int64
		err := t.row(`SELECT attempts, (SELECT COALESCE(MAX(seq), 0) FROM report_ids WHERE run_id = runs.id) FROM runs WHERE id = ?`, runID).Scan(&attempt, &last)
		if errors.Is(err, sql.ErrNoRows) {
			return changed(0, nil, "run", runID)
		}
		if err != nil {
			return err
		}
		last = max(last, reportBase)
		rows := make([][]any, len(ids))
		for i, id := range ids {
			rows[i] = []any{runID, id, max(attempt, 1), last + 1 + int64(i)}
		}
		if err := t.insert(`report_ids (run_id, id, attempt, seq)`, rows, `ON CONFLICT DO NOTHING`, nil); err != nil {
			return err
		}
		return forms(ids, func(ids []any) error {
			return t.each(`SELECT id, attempt, seq FROM report_ids WHERE run_id = ? AND id IN (`+marks(len(ids))+`)`, append([]any{runID}, ids...), func(rows *sql.Rows) error {
				var id string
				var place runner.EventID
				err := rows.Scan(&id, &place.Attempt, &place.Seq)
				places[id] = place
				return err
			})
		})
	})
	if err != nil {
		return 0, err
	}
	events := make([]pipelines.Event, len(reports))
	for i, r := range reports {
		events[i] = r.Event
		events[i].Attempt, events[i].Seq = places[ids[i]].Attempt, places[ids[i]].Seq
	}
	return s.AppendEvents(ctx, runID, events)
}
