package sqlstore

import "math"

// A row of attempt a at global step g is superseded when a later attempt went
// on from before g, or reported the same key itself. A later attempt that
// reports numbers without having said from where it resumed began anew, at
// step 0. The rule is applied to all that is filed of a run whenever an event
// of a retry comes in, so the order of arrival does not matter.

// finish marks superseded rows. A run of one attempt has none.
func (d *deriver) finish() error {
	if !d.replay {
		var later int
		err := d.t.row(`SELECT EXISTS (SELECT 1 FROM events WHERE run_id = ? AND attempt > 1)`, d.runID).Scan(&later)
		if err != nil || later == 0 {
			return err
		}
	}
	floors, err := d.floors()
	if err != nil {
		return err
	}
	// floor[i] belongs to attempt i+2 or later; going down, bound is the
	// lowest step from which any later attempt went on.
	for _, table := range []struct{ name, key string }{
		{"metrics", "o.name = r.name AND o.split = r.split AND o.class = r.class AND o.epoch = r.epoch AND o.global_step = r.global_step"},
		{"validations", "o.split = r.split AND o.epoch = r.epoch AND o.global_step = r.global_step"},
		{"checkpoints", ""},
	} {
		bound := int64(math.MaxInt64)
		for i := len(floors) - 1; i >= 0; i-- {
			f := floors[i]
			if err := d.mark(table.name, table.key, f.attempt, bound); err != nil {
				return err
			}
			bound = min(bound, f.step)
		}
	}
	return nil
}

// mark sets the flag of an attempt's rows and touches only those that change.
func (d *deriver) mark(table, key string, attempt int, bound int64) error {
	rule := `r.global_step > ?`
	if key != "" {
		rule = `(r.global_step > ? OR EXISTS (SELECT 1 FROM ` + table + ` o WHERE o.run_id = r.run_id AND ` + key + ` AND o.attempt > r.attempt))`
	}
	query := `UPDATE ` + table + ` AS r SET superseded = CASE WHEN ` + rule + ` THEN 1 ELSE 0 END
		WHERE r.run_id = ? AND r.attempt = ? AND r.superseded <> CASE WHEN ` + rule + ` THEN 1 ELSE 0 END`
	_, err := d.t.exec(query, bound, d.runID, attempt, bound)
	return err
}

type floor struct {
	attempt int
	step    int64 // later rows of earlier attempts do not count
}

// floors lists the attempts that reported anything, first to last, with the
// step from which each went on.
func (d *deriver) floors() ([]floor, error) {
	rows, err := d.t.query(`SELECT a.attempt,
			COALESCE((SELECT MIN(r.global_step) FROM resumes r WHERE r.run_id = ? AND r.attempt = a.attempt),
				CASE WHEN EXISTS (SELECT 1 FROM events e WHERE e.run_id = ? AND e.attempt = a.attempt AND e.type IN ('metrics', 'validation', 'checkpoint'))
				THEN 0 ELSE ? END)
		FROM (SELECT DISTINCT attempt FROM events WHERE run_id = ?) a ORDER BY a.attempt`,
		d.runID, d.runID, int64(math.MaxInt64), d.runID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []floor
	for rows.Next() {
		var f floor
		if err := rows.Scan(&f.attempt, &f.step); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}
