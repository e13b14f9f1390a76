package sqlstore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/trainwright/trainwright/pipelines"
)

// series is a curve of a run.
type series struct{ name, split, class string }

// maxSeriesKey keeps keys, in bytes, within what an index of PostgreSQL takes.
const maxSeriesKey = 1000

// key stands for the series in an index: itself, or its hash where it is long.
func (c series) key() string {
	key := fmt.Sprintf("%d:%d:%s%s%s", utf8.RuneCountInString(c.name), utf8.RuneCountInString(c.split), c.name, c.split, c.class)
	if len(key) > maxSeriesKey {
		sum := sha256.Sum256([]byte(key))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return key
}

type metricKey struct {
	series  series
	epoch   int
	step    int64
	attempt int
}

type metricRow struct {
	seq   int64
	value any
	time  int64
}

// value notes one metric row; of two with the same key the later event's counts.
func (d *deriver) value(e pipelines.Event, c series, epoch int, step int64, v float64) {
	c = series{plainText(c.name), plainText(c.split), plainText(c.class)}
	k := metricKey{c, epoch, step, e.Attempt}
	if old, ok := d.rows[k]; !ok || e.Seq > old.seq {
		d.rows[k] = metricRow{e.Seq, number(v), nanos(e.Time)}
	}
}

// flush files the metric rows, and marks the rows of earlier attempts that
// they replace.
func (d *deriver) flush() error {
	if len(d.rows) == 0 {
		return nil
	}
	if err := d.identify(); err != nil {
		return err
	}
	rows := make([][]any, 0, len(d.rows))
	replaced := map[int][][]any{}
	for k, r := range d.rows {
		id := d.ids[k.series.key()]
		d.touch(id, k.step)
		rows = append(rows, []any{id, k.step, k.epoch, k.attempt, r.seq, r.value, 0, r.time})
		if k.attempt > 1 {
			replaced[k.attempt] = append(replaced[k.attempt], []any{id, k.step, k.epoch})
		}
	}
	err := d.t.insert(`training_metrics (series_id, global_step, epoch, attempt, seq, value, superseded, time)`, rows,
		`ON CONFLICT (series_id, global_step, epoch, attempt) DO UPDATE
		SET seq = excluded.seq, value = excluded.value, time = excluded.time WHERE excluded.seq > training_metrics.seq`, nil)
	for attempt, keys := range replaced {
		if err == nil {
			err = d.hide(attempt, keys)
		}
	}
	return err
}

// hide marks the rows of these keys that attempts before this one reported.
func (d *deriver) hide(attempt int, keys [][]any) error {
	const key = `(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))`
	for _, n := range rowsAtOnce {
		for len(keys) >= n {
			args := []any{attempt}
			for _, k := range keys[:n] {
				args = append(args, k...)
			}
			keys = keys[n:]
			_, err := d.t.exec(`UPDATE training_metrics SET superseded = 1 WHERE attempt < ? AND superseded = 0
				AND (series_id, global_step, epoch) IN (VALUES `+tuples(n, key)+`)`, args...)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// identify fills in the ids of the series of d.rows, and files new ones.
func (d *deriver) identify() error {
	d.ids = d.t.s.series.of(d.runID)
	unknown := map[string]series{}
	for k := range d.rows {
		key := k.series.key()
		if _, ok := d.ids[key]; !ok {
			unknown[key] = k.series
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var rows [][]any
	for key, c := range unknown {
		rows = append(rows, []any{d.runID, key, c.name, c.split, c.class})
	}
	if err := d.t.insert(`metric_series (run_id, series_key, name, split, class)`, rows, `ON CONFLICT DO NOTHING`, nil); err != nil {
		return err
	}
	return d.t.each(`SELECT id, series_key FROM metric_series WHERE run_id = ?`, []any{d.runID}, func(rows *sql.Rows) error {
		var id int64
		var key string
		err := rows.Scan(&id, &key)
		d.ids[key] = id
		return err
	})
}

// seriesCache remembers the ids of committed series, by run and key.
type seriesCache struct {
	mu   sync.Mutex
	runs map[string]map[string]int64
	// filed counts the rows of each run since its outlines were last looked at.
	filed map[string]int
}

// maxCachedRuns bounds the cache; runs that report at one time are fewer.
const maxCachedRuns = 256

// of is a copy of what is known of a run.
func (c *seriesCache) of(runID string) map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make(map[string]int64, len(c.runs[runID]))
	for key, id := range c.runs[runID] {
		known[key] = id
	}
	return known
}

// remember keeps ids once their transaction is committed, and how many rows it
// filed. It reports when it is time to look at the run's outlines: with a
// run's first rows, and whenever a segment's may have come.
func (c *seriesCache) remember(runID string, ids map[string]int64, rows int) bool {
	if ids == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil || len(c.runs) >= maxCachedRuns {
		c.runs, c.filed = map[string]map[string]int64{}, map[string]int{}
	}
	_, known := c.runs[runID]
	c.runs[runID] = ids
	c.filed[runID] += rows
	if known && c.filed[runID] < segmentRows {
		return false
	}
	c.filed[runID] = 0
	return true
}
