package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/trainwright/trainwright/runner"
)

// longSeries is the number of points from which the database itself picks
// what may be seen of a series: reading them all would take longer.
const longSeries = 10_000

// Metrics lists metric rows series by series (name, split, class), each in
// the order of training, down-sampled to at most f.MaxPoints a series; its
// first, last, lowest and highest points stay.
func (s *Store) Metrics(ctx context.Context, f runner.MetricFilter) (out []runner.MetricRow, err error) {
	err = s.patiently(ctx, s.waiting, func() error {
		out, err = s.metrics(ctx, f)
		return err
	})
	return out, s.fail("list metrics of run "+f.RunID, err)
}

func (s *Store) metrics(ctx context.Context, f runner.MetricFilter) ([]runner.MetricRow, error) {
	q := metricQuery{s: s, ctx: ctx, f: f, visible: ` AND superseded = 0`}
	if f.IncludeSuperseded {
		q.visible = ""
	}
	if err := q.find(); err != nil || len(q.curves) == 0 {
		return []runner.MetricRow{}, err
	}
	if f.MaxPoints > 0 {
		if err := q.measure(); err != nil {
			return nil, err
		}
	}
	if err := q.read(); err != nil {
		return nil, err
	}
	slices.SortFunc(q.curves, func(a, b *curve) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.split, b.split), cmp.Compare(a.class, b.class))
	})
	n := 0
	for _, c := range q.curves {
		n += len(c.rows)
	}
	out := make([]runner.MetricRow, 0, n)
	for _, c := range q.curves {
		out = append(out, c.rows...)
	}
	return out, nil
}

// curve is a series that is being read.
type curve struct {
	id int64
	series
	count    int64 // of its points
	from, to int64 // global steps of the first and the last
	rows     []runner.MetricRow
}

type metricQuery struct {
	s       *Store
	ctx     context.Context
	f       runner.MetricFilter
	visible string
	curves  []*curve // by id
	byID    map[int64]*curve
}

// which selects the series that the filter means.
func (q *metricQuery) which() (string, []any) {
	where, args := `run_id = ?`, []any{q.f.RunID}
	if q.f.Name != "" {
		where, args = where+` AND name = ?`, append(args, q.f.Name)
	}
	if q.f.Split != "" {
		where, args = where+` AND split = ?`, append(args, q.f.Split)
	}
	return where, args
}

func (q *metricQuery) find() (err error) {
	where, args := q.which()
	q.curves, err = listOnce(q.ctx, q.s, func(rows *sql.Rows) (*curve, error) {
		c := &curve{}
		return c, rows.Scan(&c.id, &c.name, &c.split, &c.class)
	}, `SELECT id, name, split, class FROM metric_series WHERE `+where+` ORDER BY id`, args...)
	q.byID = make(map[int64]*curve, len(q.curves))
	for _, c := range q.curves {
		q.byID[c.id] = c
	}
	return err
}

// measure counts the points of each series.
func (q *metricQuery) measure() error {
	where, args := q.which()
	_, err := listOnce(q.ctx, q.s, func(rows *sql.Rows) (struct{}, error) {
		var id, count, from, to int64
		err := rows.Scan(&id, &count, &from, &to)
		if c := q.byID[id]; c != nil {
			c.count, c.from, c.to = count, from, to
		}
		return struct{}{}, err
	}, `SELECT series_id, COUNT(*), MIN(global_step), MAX(global_step) FROM training_metrics
		WHERE series_id IN (SELECT id FROM metric_series WHERE `+where+`)`+q.visible+` GROUP BY series_id`, args...)
	return err
}

const metricColumns = `series_id, epoch, global_step, value, attempt, superseded, time`

// read fills in the rows: of long series one by one what the database picks,
// of all others together.
func (q *metricQuery) read() error {
	where, args := q.which()
	query := `SELECT ` + metricColumns + ` FROM training_metrics WHERE series_id IN (SELECT id FROM metric_series WHERE ` + where + `)` + q.visible
	for _, c := range q.curves {
		if c.count > longSeries && c.count > 8*int64(q.f.MaxPoints) {
			if err := q.readLong(c); err != nil {
				return err
			}
			query, args = query+` AND series_id <> ?`, append(args, c.id)
		}
	}
	return q.scan(query+` ORDER BY series_id, global_step, epoch, attempt`, args)
}

// readLong reads the lowest and the highest point of each of some thousand
// equal spans of steps, and down-samples those: LTTB of all points picks
// hardly others (van der Donckt et al., "MinMaxLTTB", 2023).
func (q *metricQuery) readLong(c *curve) error {
	spans := int64(2 * q.f.MaxPoints)
	width := (c.to-c.from)/spans + 1
	// NULL is NaN: it is what one looks for.
	pick := func(order string) string {
		return `SELECT (SELECT o.global_step FROM training_metrics o WHERE o.series_id = ?` + q.visible + `
			AND o.global_step >= CAST(? AS BIGINT) + i * CAST(? AS BIGINT) AND o.global_step < CAST(? AS BIGINT) + i * CAST(? AS BIGINT)
			ORDER BY ` + order + ` LIMIT 1) FROM spans`
	}
	span := []any{c.id, c.from, width, c.from + width, width}
	args := slices.Concat([]any{spans - 1, c.id}, span, span, []any{c.from, c.to})
	return q.scan(`WITH RECURSIVE spans (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM spans WHERE i < ?)
		SELECT `+metricColumns+` FROM training_metrics WHERE series_id = ?`+q.visible+` AND global_step IN (
			`+pick(`o.value ASC NULLS FIRST, o.global_step`)+`
			UNION ALL `+pick(`o.value DESC NULLS LAST, o.global_step`)+`
			UNION ALL SELECT CAST(? AS BIGINT) UNION ALL SELECT CAST(? AS BIGINT))
		ORDER BY series_id, global_step, epoch, attempt`, args)
}

// scan takes rows that come series by series, each down-sampled when it is whole.
func (q *metricQuery) scan(query string, args []any) error {
	var now *curve
	finish := func() {
		if now != nil && q.f.MaxPoints > 0 {
			now.rows = downsample(now.rows, q.f.MaxPoints)
		}
	}
	_, err := listOnce(q.ctx, q.s, func(rows *sql.Rows) (struct{}, error) {
		var id int64
		r, err := scanMetric(rows, &id)
		if err != nil {
			return struct{}{}, err
		}
		if now == nil || now.id != id {
			finish()
			if now = q.byID[id]; now == nil { // filed since find
				now = &curve{id: id}
			}
		}
		r.Name, r.Split, r.Class = now.name, now.split, now.class
		now.rows = append(now.rows, r)
		return struct{}{}, nil
	}, query, args...)
	finish()
	return err
}

func scanMetric(rows *sql.Rows, series *int64) (runner.MetricRow, error) {
	var r runner.MetricRow
	var value sql.NullFloat64
	var at int64
	err := rows.Scan(series, &r.Epoch, &r.GlobalStep, &value, &r.Attempt, &r.Superseded, &at)
	r.Value, r.Time = value.Float64, moment(at)
	if !value.Valid {
		r.Value = math.NaN()
	}
	return r, err
}
