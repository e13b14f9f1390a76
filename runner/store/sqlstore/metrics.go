package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/trainwright/trainwright/runner"
)

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
	if err := q.read(); err != nil {
		return nil, err
	}
	if q.long {
		_ = s.outline(ctx, f.RunID) // the next reader is faster, or does it
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
	rows     []runner.MetricRow
	outlined bool // segments of its outline are among them
	tail     int  // how many of them are not from there
}

type metricQuery struct {
	s       *Store
	ctx     context.Context
	f       runner.MetricFilter
	visible string
	curves  []*curve // by id
	byID    map[int64]*curve
	long    bool // many points of a curve stand in no outline
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

const metricColumns = `series_id, epoch, global_step, value, attempt, superseded, time`

// read fills in the rows. A curve that is to be down-sampled is read from its
// outline and the points that this does not cover; point by point where that
// is too coarse.
func (q *metricQuery) read() error {
	which, args := q.which()
	all := `SELECT ` + metricColumns + `, NULL FROM training_metrics WHERE series_id IN (SELECT id FROM metric_series WHERE ` + which + `)` + q.visible
	if q.f.MaxPoints <= 0 {
		return q.scan(all, args, func(*curve) {})
	}
	coarse := []any{}
	// One statement: an outline may change between two.
	err := q.scan(`SELECT series_id, 0, start, NULL, 0, 0, 0, body FROM metric_outlines WHERE series_id IN (SELECT id FROM metric_series WHERE `+which+`)
		UNION ALL SELECT `+metricColumns+`, NULL FROM metric_series JOIN training_metrics ON series_id = id AND global_step >= outlined WHERE `+which+q.visible,
		slices.Concat(args, args), func(c *curve) {
			if c.outlined && len(c.rows) < 2*q.f.MaxPoints {
				c.rows, coarse = nil, append(coarse, c.id)
				return
			}
			q.long = q.long || c.tail > longTail
			c.rows = downsample(c.rows, q.f.MaxPoints)
		})
	if err != nil || len(coarse) == 0 {
		return err
	}
	return q.scan(all+` AND series_id IN (`+marks(len(coarse))+`)`, append(args, coarse...), func(c *curve) { c.rows = downsample(c.rows, q.f.MaxPoints) })
}

// scan takes points, and segments of outlines in their place, series by
// series, and says when one is whole.
func (q *metricQuery) scan(query string, args []any, whole func(*curve)) error {
	now := &curve{}
	_, err := listOnce(q.ctx, q.s, func(rows *sql.Rows) (struct{}, error) {
		var id int64
		var body []byte
		r, err := scanMetric(rows, &id, &body)
		if err != nil {
			return struct{}{}, err
		}
		if now.id != id {
			if len(now.rows) > 0 {
				whole(now)
			}
			if now = q.byID[id]; now == nil { // filed since find
				now = &curve{id: id}
			}
		}
		if body == nil {
			now.add(r)
			now.tail++
			return struct{}{}, nil
		}
		now.outlined = true
		points, err := unpackOutline(body)
		for _, p := range points {
			if q.visible == "" || !p.Superseded {
				now.add(p)
			}
		}
		return struct{}{}, err
	}, query+` ORDER BY 1, 3, 2, 5`, args...)
	if err == nil && len(now.rows) > 0 {
		whole(now)
	}
	return err
}

func (c *curve) add(r runner.MetricRow) {
	r.Name, r.Split, r.Class = c.name, c.split, c.class
	c.rows = append(c.rows, r)
}

// scanMetric reads metricColumns, and what the query has after them.
func scanMetric(rows *sql.Rows, series *int64, more ...any) (runner.MetricRow, error) {
	var r runner.MetricRow
	var value sql.NullFloat64
	var at int64
	err := rows.Scan(append([]any{series, &r.Epoch, &r.GlobalStep, &value, &r.Attempt, &r.Superseded, &at}, more...)...)
	r.Value, r.Time = value.Float64, moment(at)
	if !value.Valid {
		r.Value = math.NaN()
	}
	return r, err
}
