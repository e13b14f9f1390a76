package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/trainwright/trainwright/runner"
)

// A long curve has an outline, from which it is drawn without reading every
// point (van der Donckt et al., "MinMaxLTTB", 2023): segments of segmentRows
// points, and of each chunkRows of them the lowest and the highest.
//
// A segment is a function of the points between its first and its last step.
// Whatever changes one of those (an event that comes late, a value told anew,
// a resume) drops that segment and those after it in its own transaction, and
// they are made again later: outlines are never wrong, only shorter than the
// curve. What they do not cover is read point by point.
const (
	segmentRows = 4096
	chunkRows   = 64
	// slackRows stay out of segments: resumes and late events change the newest.
	slackRows = 1024
	// longTail is how many points beyond its outline a reader finds worth
	// having it made longer.
	longTail = 4 * segmentRows
)

const notOutlined = math.MinInt64 // metric_series.outlined of a curve without segments

// outlinePoint is a point as a segment's body holds it.
type outlinePoint struct {
	Step, Epoch, Attempt, Time int64
	Value                      float64
	Superseded                 bool
}

// outlineOf picks the points of a segment that its outline keeps, of visible
// and superseded ones each: the first, the last, and of every chunk the
// lowest, the highest and one that is not finite.
func outlineOf(rows []runner.MetricRow) []outlinePoint {
	keep := make([]bool, len(rows))
	for _, superseded := range []bool{false, true} {
		first, last := -1, -1
		for from := 0; from < len(rows); from += chunkRows {
			lowest, highest, odd := -1, -1, -1
			for i := from; i < min(from+chunkRows, len(rows)); i++ {
				if rows[i].Superseded != superseded {
					continue
				}
				if first < 0 {
					first = i
				}
				last = i
				switch v := rows[i].Value; {
				case !finite(v):
					odd = i
				case lowest < 0:
					lowest, highest = i, i
				case v < rows[lowest].Value:
					lowest = i
				case v > rows[highest].Value:
					highest = i
				}
			}
			for _, i := range []int{lowest, highest, odd, first, last} {
				if i >= 0 {
					keep[i] = true
				}
			}
		}
	}
	var out []outlinePoint
	for i, r := range rows {
		if keep[i] {
			out = append(out, outlinePoint{r.GlobalStep, int64(r.Epoch), int64(r.Attempt), nanos(r.Time), r.Value, r.Superseded})
		}
	}
	return out
}

func packOutline(points []outlinePoint) ([]byte, error) {
	return binary.Append(nil, binary.LittleEndian, points)
}

func unpackOutline(body []byte) ([]runner.MetricRow, error) {
	size := binary.Size(outlinePoint{})
	points := make([]outlinePoint, len(body)/size)
	if err := binary.Read(bytes.NewReader(body), binary.LittleEndian, points); err != nil || len(body)%size != 0 {
		return nil, fmt.Errorf("an outline of %d bytes is no whole number of points: %w", len(body), err)
	}
	rows := make([]runner.MetricRow, len(points))
	for i, p := range points {
		rows[i] = runner.MetricRow{Epoch: int(p.Epoch), GlobalStep: p.Step, Value: p.Value, Attempt: int(p.Attempt), Superseded: p.Superseded, Time: moment(p.Time)}
	}
	return rows, nil
}

// touch notes that a series has another point at a step, or another value or mark there.
func (d *deriver) touch(id, step int64) {
	if old, ok := d.touched[id]; !ok || step < old {
		d.touched[id] = step
	}
}

// reopen drops the segments that hold what this batch touched.
func (d *deriver) reopen() error {
	if len(d.touched) == 0 {
		return nil
	}
	stale := map[int64]int64{}
	err := d.t.each(`SELECT id, outlined FROM metric_series WHERE run_id = ? AND outlined > ?`, []any{d.runID, int64(notOutlined)}, func(rows *sql.Rows) error {
		var id, outlined int64
		err := rows.Scan(&id, &outlined)
		if step, ok := d.touched[id]; ok && step < outlined {
			stale[id] = step
		}
		return err
	})
	for id, step := range stale {
		from := int64(notOutlined)
		if err == nil {
			err = d.t.row(`SELECT COALESCE(MAX(start), CAST(? AS BIGINT)) FROM metric_outlines WHERE series_id = ? AND start <= ?`, from, id, step).Scan(&from)
		}
		if err == nil {
			_, err = d.t.exec(`DELETE FROM metric_outlines WHERE series_id = ? AND start >= ?`, id, from)
		}
		if err == nil {
			_, err = d.t.exec(`UPDATE metric_series SET outlined = ? WHERE id = ?`, from, id)
		}
	}
	return err
}

// outline makes the outlines of a run's curves as long as they can be, each
// segment in a transaction of its own.
func (s *Store) outline(ctx context.Context, runID string) error {
	long, err := listOnce(ctx, s, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) },
		`SELECT s.id FROM metric_series s JOIN training_metrics m ON m.series_id = s.id AND m.global_step >= s.outlined
		WHERE s.run_id = ? GROUP BY s.id HAVING COUNT(*) >= ?`, runID, segmentRows+slackRows)
	if err != nil {
		return err
	}
	for _, id := range long {
		for more := true; more; {
			err := s.writeOnce(ctx, "run "+runID, func(t tx) (err error) {
				more, err = addSegment(t, id)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addSegment makes the next segment of a series, if there are points for one.
func addSegment(t tx, id int64) (bool, error) {
	rows := make([]runner.MetricRow, 0, segmentRows+slackRows)
	err := t.each(`SELECT `+metricColumns+` FROM training_metrics WHERE series_id = ? AND global_step >= (SELECT outlined FROM metric_series WHERE id = ?)
		ORDER BY global_step, epoch, attempt LIMIT ?`, []any{id, id, segmentRows + slackRows}, func(r *sql.Rows) error {
		row, err := scanMetric(r, new(int64))
		rows = append(rows, row)
		return err
	})
	if err != nil || len(rows) < segmentRows+slackRows {
		return false, err
	}
	end := segmentRows
	for end > 0 && rows[end-1].GlobalStep == rows[end].GlobalStep {
		end-- // the points of one step stay together
	}
	if end == 0 {
		return false, nil
	}
	body, err := packOutline(outlineOf(rows[:end]))
	if err != nil {
		return false, err
	}
	if _, err := t.exec(`INSERT INTO metric_outlines (series_id, start, body) VALUES (?,?,?)`, id, rows[0].GlobalStep, body); err != nil {
		return false, err
	}
	_, err = t.exec(`UPDATE metric_series SET outlined = ? WHERE id = ?`, rows[end-1].GlobalStep+1, id)
	return true, err
}
