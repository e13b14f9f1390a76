package sqlstore

import (
	"database/sql"
	"math"
)

// A row of attempt a at global step g is superseded when a later attempt went
// on from before g, or reported the same key itself. A later attempt that
// reports numbers without having said from where it resumed began anew, at
// step 0. The order of arrival does not matter: when an event may change what
// the rows of other attempts are worth, the rule is applied to all of them.

// finish marks superseded rows. A run of one attempt has none.
func (d *deriver) finish() error {
	if !d.retried || !d.replay && !d.rare {
		return nil
	}
	floors, err := d.floors()
	if err != nil {
		return err
	}
	// floor[i] belongs to attempt i+2 or later; going down, bound is the
	// lowest step from which any later attempt went on.
	for _, table := range []table{
		{"training_metrics", `r.series_id IN (SELECT id FROM metric_series WHERE run_id = ?)`, "o.series_id = r.series_id AND o.epoch = r.epoch AND o.global_step = r.global_step"},
		{"validation_results", `r.run_id = ?`, "o.run_id = r.run_id AND o.split = r.split AND o.epoch = r.epoch AND o.global_step = r.global_step"},
		{"checkpoints", `r.run_id = ?`, ""},
	} {
		if table.name == "training_metrics" && !d.replay {
			continue // the new rows have hidden those that they replace
		}
		bound := int64(math.MaxInt64)
		for i := len(floors) - 1; i >= 0; i-- {
			f := floors[i]
			if err := d.mark(table, f.attempt, bound); err != nil {
				return err
			}
			bound = min(bound, f.step)
		}
	}
	return nil
}

// table is one whose rows r may be superseded.
type table struct {
	name string
	of   string // r belongs to run ?
	same string // o has the key of r; "" = keys do not replace each other
}

// mark sets the flag of an attempt's rows and touches only those that change.
func (d *deriver) mark(t table, attempt int, bound int64) error {
	rule := `r.global_step > ?`
	if t.same != "" {
		rule = `(r.global_step > ? OR EXISTS (SELECT 1 FROM ` + t.name + ` o WHERE ` + t.same + ` AND o.attempt > r.attempt))`
	}
	query := `UPDATE ` + t.name + ` AS r SET superseded = CASE WHEN ` + rule + ` THEN 1 ELSE 0 END
		WHERE ` + t.of + ` AND r.attempt = ? AND r.superseded <> CASE WHEN ` + rule + ` THEN 1 ELSE 0 END`
	if t.name != "training_metrics" {
		_, err := d.t.exec(query, bound, d.runID, attempt, bound)
		return err
	}
	return d.t.each(query+` RETURNING series_id, global_step`, []any{bound, d.runID, attempt, bound}, func(rows *sql.Rows) error {
		var id, step int64
		err := rows.Scan(&id, &step)
		d.touch(id, step)
		return err
	})
}

type floor struct {
	attempt int
	step    int64 // later rows of earlier attempts do not count
}

// floors lists the attempts that reported anything, first to last, with the
// step from which each went on.
func (d *deriver) floors() ([]floor, error) {
	var out []floor
	for attempt := 0; ; {
		// One look-up an attempt: a run may have a great many events.
		var next sql.NullInt64
		if err := d.t.row(`SELECT MIN(attempt) FROM events WHERE run_id = ? AND attempt > ?`, d.runID, attempt).Scan(&next); err != nil {
			return nil, err
		}
		if !next.Valid {
			return out, nil
		}
		attempt = int(next.Int64)
		f := floor{attempt: attempt, step: math.MaxInt64}
		var from sql.NullInt64
		if err := d.t.row(`SELECT MIN(global_step) FROM resumes WHERE run_id = ? AND attempt = ?`, d.runID, attempt).Scan(&from); err != nil {
			return nil, err
		}
		if from.Valid {
			f.step = from.Int64
		} else if began, err := d.hasNumbers(attempt); err != nil {
			return nil, err
		} else if began {
			f.step = 0
		}
		out = append(out, f)
	}
}

// hasNumbers reports that an attempt has told of training itself.
func (d *deriver) hasNumbers(attempt int) (bool, error) {
	var n int
	err := d.t.row(`SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE run_id = ? AND attempt = ?
		AND type IN ('metrics', 'validation', 'checkpoint') LIMIT 1) AS one`, d.runID, attempt).Scan(&n)
	return n > 0, err
}
