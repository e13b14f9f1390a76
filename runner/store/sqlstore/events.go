package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// AppendEvents files events, each (attempt, seq) once, and derives rows from
// the new ones, all in one transaction. Progress is not kept as history: the
// newest by (attempt, seq) is the run's progress. A run that does not exist
// is a not-found error.
func (s *Store) AppendEvents(ctx context.Context, runID string, events []pipelines.Event) (int, error) {
	fresh := 0
	var d *deriver
	// Not patient: who files events has them in a spool, and goes on.
	err := s.patiently(ctx, Waiting{}, func() error {
		return s.writeOnce(ctx, "run "+runID, func(t tx) error {
			fresh, d = 0, newDeriver(t, runID)
			if err := runExists(t, runID); err != nil {
				return err
			}
			history := make([]pipelines.Event, 0, len(events))
			var newest *pipelines.Event
			for i, e := range events {
				if e.Attempt < 1 || e.Seq < 1 {
					return pipelines.Errorf(pipelines.CodeInvalid, "event %d of the batch has attempt %d and seq %d; both count from 1", i, e.Attempt, e.Seq)
				}
				if e.Type != pipelines.EventProgress {
					history = append(history, e)
				} else if newest == nil || after(e, *newest) {
					newest = &events[i]
				}
			}
			filed, err := d.file(history)
			if err != nil {
				return err
			}
			fresh = len(filed)
			for _, e := range filed {
				if err := d.derive(e); err != nil {
					return fmt.Errorf("event %d of attempt %d: %w", e.Seq, e.Attempt, err)
				}
			}
			if newest != nil {
				n, err := saveProgress(t, runID, *newest)
				if err != nil {
					return err
				}
				fresh += int(n)
			}
			if err := d.flush(); err != nil {
				return err
			}
			if err := d.finish(); err != nil {
				return err
			}
			return d.reopen()
		})
	})
	if err != nil {
		return 0, s.fail("file events of run "+runID, err)
	}
	if s.series.remember(runID, d.ids, len(d.rows)) {
		_ = s.outline(ctx, runID) // the events are filed; a later batch or a reader makes it up
	}
	return fresh, nil
}

func after(a, b pipelines.Event) bool {
	return a.Attempt > b.Attempt || a.Attempt == b.Attempt && a.Seq > b.Seq
}

func saveProgress(t tx, runID string, e pipelines.Event) (int64, error) {
	body, err := text(e.Progress)
	if err != nil {
		return 0, err
	}
	return t.exec(`UPDATE runs SET progress = ?, progress_attempt = ?, progress_seq = ?
		WHERE id = ? AND (progress_attempt < ? OR progress_attempt = ? AND progress_seq < ?)`,
		body, e.Attempt, e.Seq, runID, e.Attempt, e.Attempt, e.Seq)
}

func runExists(t tx, runID string) error {
	var one int
	err := t.row(`SELECT 1 FROM runs WHERE id = ?`, runID).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return changed(0, nil, "run", runID)
	}
	return err
}

// Events lists filed events after a position, oldest first; limit 0 = 1000.
func (s *Store) Events(ctx context.Context, runID string, after runner.EventID, limit int) ([]pipelines.Event, error) {
	if limit <= 0 {
		limit = 1000
	}
	return list(ctx, s, "list events of run "+runID, func(rows *sql.Rows) (e pipelines.Event, err error) {
		var body string
		if err = rows.Scan(&body); err == nil {
			err = json.Unmarshal([]byte(body), &e)
		}
		return e, err
	}, `SELECT body FROM events WHERE run_id = ? AND (attempt > ? OR attempt = ? AND seq > ?) ORDER BY attempt, seq LIMIT ?`,
		runID, after.Attempt, after.Attempt, after.Seq, limit)
}
