package sqlstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"math"

	"github.com/trainwright/trainwright/pipelines"
)

// deriver files the events of one batch and the rows that follow from them.
type deriver struct {
	t      tx
	runID  string
	event  *sql.Stmt
	metric *sql.Stmt
	hide   *sql.Stmt // marks the rows of earlier attempts that one of this key replaces

	// retried: the run has more attempts than one, so rows may be superseded.
	// replay: this batch may change which, beyond the keys that it holds.
	// rare: it holds a validation or checkpoint.
	retried, replay, rare bool
	seen                  map[int]bool // attempts of this batch that were looked at
}

func newDeriver(t tx, runID string) (*deriver, error) {
	d := &deriver{t: t, runID: runID, seen: map[int]bool{}}
	var err error
	if d.event, err = t.prepare(`INSERT INTO events (run_id, attempt, seq, time, type, body) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING`); err != nil {
		return nil, err
	}
	d.metric, err = t.prepare(`INSERT INTO metrics (run_id, name, split, class, epoch, global_step, attempt, seq, value, superseded, time)
		VALUES (?,?,?,?,?,?,?,?,?,0,?)
		ON CONFLICT (run_id, name, split, class, epoch, global_step, attempt) DO UPDATE
		SET seq = excluded.seq, value = excluded.value, time = excluded.time WHERE excluded.seq > metrics.seq`)
	if err != nil {
		return nil, err
	}
	d.hide, err = t.prepare(`UPDATE metrics SET superseded = 1 WHERE run_id = ? AND name = ? AND split = ? AND class = ?
		AND epoch = ? AND global_step = ? AND attempt < ? AND superseded = 0`)
	return d, err
}

// look notes, before the first event of an attempt in this batch is filed,
// whether filing it may change what earlier attempts' rows are worth. The
// next event of the newest attempt, which has reported numbers before, does not.
func (d *deriver) look(attempt int) error {
	if d.seen[attempt] {
		return nil
	}
	d.seen[attempt] = true
	var newest int
	var known bool
	err := d.t.row(`SELECT COALESCE(MAX(attempt), 0) FROM events WHERE run_id = ?`, d.runID).Scan(&newest)
	if err == nil {
		known, err = d.hasNumbers(attempt)
	}
	if err != nil {
		return err
	}
	newest = max(newest, attempt)
	d.retried = d.retried || newest > 1
	d.replay = d.replay || newest > 1 && (attempt < newest || !known)
	return nil
}

func (d *deriver) close() {
	_ = d.event.Close()
	_ = d.metric.Close()
	_ = d.hide.Close()
}

// file reports whether the event is new; what is known already changes nothing.
func (d *deriver) file(e pipelines.Event) (bool, error) {
	if err := d.look(e.Attempt); err != nil {
		return false, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	res, err := d.event.ExecContext(d.t.ctx, d.runID, e.Attempt, e.Seq, nanos(e.Time), string(e.Type), string(body))
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	switch {
	case e.Resumed != nil:
		d.retried, d.replay = true, true
		_, err = d.t.exec(`INSERT INTO resumes (run_id, attempt, seq, epoch, global_step) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING`,
			d.runID, e.Attempt, e.Seq, e.Resumed.Epoch, e.Resumed.GlobalStep)
	case e.Metrics != nil:
		err = d.metrics(e, *e.Metrics)
	case e.Validation != nil:
		d.rare = true
		err = d.validation(e, *e.Validation, body)
	case e.Checkpoint != nil:
		d.rare = true
		c := e.Checkpoint
		_, err = d.t.exec(`INSERT INTO checkpoints (run_id, attempt, seq, name, epoch, global_step, body, superseded) VALUES (?,?,?,?,?,?,?,0)`,
			d.runID, e.Attempt, e.Seq, c.Name, c.Epoch, c.GlobalStep, string(body))
	case e.Message != nil:
		_, err = d.t.exec(`INSERT INTO messages (run_id, attempt, seq, time, level, body) VALUES (?,?,?,?,?,?)`,
			d.runID, e.Attempt, e.Seq, nanos(e.Time), e.Message.Level, e.Message.Text)
	case e.Result != nil:
		err = d.artifacts(e, e.Result.Artifacts)
	}
	return true, err
}

func (d *deriver) metrics(e pipelines.Event, m pipelines.Metrics) error {
	for name, v := range m.Values {
		if err := d.value(e, name, m.Split, "", m.Epoch, m.GlobalStep, v); err != nil {
			return err
		}
	}
	return nil
}

// value files one metric row. NaN is stored as NULL, the only way that
// SQLite has; infinities are stored as they are.
func (d *deriver) value(e pipelines.Event, name, split, class string, epoch int, step int64, v float64) error {
	value := any(v)
	if math.IsNaN(v) {
		value = nil
	}
	_, err := d.metric.ExecContext(d.t.ctx, d.runID, name, split, class, epoch, step, e.Attempt, e.Seq, value, nanos(e.Time))
	if err == nil && e.Attempt > 1 {
		_, err = d.hide.ExecContext(d.t.ctx, d.runID, name, split, class, epoch, step, e.Attempt)
	}
	return err
}

// validation files the pass itself, and its numbers as metric rows: the loss
// as "loss", and each class's under the class.
func (d *deriver) validation(e pipelines.Event, v pipelines.Validation, body []byte) error {
	_, err := d.t.exec(`INSERT INTO validations (run_id, attempt, seq, epoch, global_step, split, body, superseded) VALUES (?,?,?,?,?,?,?,0)`,
		d.runID, e.Attempt, e.Seq, v.Epoch, v.GlobalStep, v.Split, string(body))
	if err != nil {
		return err
	}
	values := map[string]float64{"loss": v.Loss}
	if v.PrimaryName != "" {
		values[v.PrimaryName] = v.PrimaryValue
	}
	for name, x := range v.Metrics {
		values[name] = x
	}
	for name, x := range values {
		err = errors.Join(err, d.value(e, name, v.Split, "", v.Epoch, v.GlobalStep, x))
	}
	for class, row := range v.PerClass {
		for name, x := range row {
			err = errors.Join(err, d.value(e, name, v.Split, class, v.Epoch, v.GlobalStep, x))
		}
	}
	return err
}

func (d *deriver) artifacts(e pipelines.Event, artifacts []pipelines.Artifact) error {
	for _, a := range artifacts {
		body, err := json.Marshal(a)
		if err != nil {
			return err
		}
		_, err = d.t.exec(`INSERT INTO artifacts (run_id, name, attempt, seq, body) VALUES (?,?,?,?,?)
			ON CONFLICT (run_id, name) DO UPDATE SET attempt = excluded.attempt, seq = excluded.seq, body = excluded.body
			WHERE excluded.attempt > artifacts.attempt OR excluded.attempt = artifacts.attempt AND excluded.seq > artifacts.seq`,
			d.runID, a.Name, e.Attempt, e.Seq, string(body))
		if err != nil {
			return err
		}
	}
	return nil
}
