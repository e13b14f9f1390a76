package sqlstore

import (
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/trainwright/trainwright/runner"
)

// Metrics lists metric rows series by series (name, split, class), each in
// the order of training, down-sampled to f.MaxPoints a series.
func (s *Store) Metrics(ctx context.Context, f runner.MetricFilter) ([]runner.MetricRow, error) {
	query := `SELECT name, split, class, epoch, global_step, value, attempt, superseded, time FROM metrics WHERE run_id = ?`
	args := []any{f.RunID}
	if f.Name != "" {
		query, args = query+` AND name = ?`, append(args, f.Name)
	}
	if f.Split != "" {
		query, args = query+` AND split = ?`, append(args, f.Split)
	}
	if !f.IncludeSuperseded {
		query += ` AND superseded = 0`
	}
	query += ` ORDER BY name, split, class, global_step, epoch, attempt`
	rows, err := list(ctx, s, "list metrics of run "+f.RunID, scanMetric, query, args...)
	if err != nil || f.MaxPoints <= 0 {
		return rows, err
	}
	out := rows[:0:0]
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r runner.MetricRow) bool {
			return r.Name != rows[0].Name || r.Split != rows[0].Split || r.Class != rows[0].Class
		})
		if n < 0 {
			n = len(rows)
		}
		out = append(out, downsample(rows[:n], f.MaxPoints)...)
		rows = rows[n:]
	}
	return out, nil
}

func scanMetric(rows *sql.Rows) (runner.MetricRow, error) {
	var r runner.MetricRow
	var value sql.NullFloat64
	var at int64
	err := rows.Scan(&r.Name, &r.Split, &r.Class, &r.Epoch, &r.GlobalStep, &value, &r.Attempt, &r.Superseded, &at)
	r.Value, r.Time = value.Float64, moment(at)
	if !value.Valid {
		r.Value = math.NaN()
	}
	return r, err
}
