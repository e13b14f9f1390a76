package sqlstore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// deriver files the events of one batch and the rows that follow from them.
type deriver struct {
	t     tx
	runID string
	rows  map[metricKey]metricRow // what the batch says of each key
	ids   map[string]int64        // series by key, as far as they were looked up
	// touched are the lowest steps at which series changed, by id.
	touched map[int64]int64

	// retried: the run has more attempts than one, so rows may be superseded.
	// replay: this batch may change which, beyond the keys that it holds.
	// rare: it holds a validation or checkpoint.
	retried, replay, rare bool
	seen                  map[int]bool // attempts of this batch that were looked at
}

func newDeriver(t tx, runID string) *deriver {
	return &deriver{t: t, runID: runID, rows: map[metricKey]metricRow{}, touched: map[int64]int64{}, seen: map[int]bool{}}
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

// file files events, and returns those that are new; what is known already
// changes nothing.
func (d *deriver) file(events []pipelines.Event) ([]pipelines.Event, error) {
	rows := make([][]any, 0, len(events))
	for _, e := range events {
		if err := d.look(e.Attempt); err != nil {
			return nil, err
		}
		body, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("event %d of attempt %d: %w", e.Seq, e.Attempt, err)
		}
		rows = append(rows, []any{d.runID, e.Attempt, e.Seq, nanos(e.Time), string(e.Type), string(body)})
	}
	filed := make(map[runner.EventID]bool, len(events))
	err := d.t.insert(`events (run_id, attempt, seq, time, type, body)`, rows, `ON CONFLICT DO NOTHING RETURNING attempt, seq`, func(rows *sql.Rows) error {
		var id runner.EventID
		err := rows.Scan(&id.Attempt, &id.Seq)
		filed[id] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	fresh := make([]pipelines.Event, 0, len(filed))
	for _, e := range events {
		if id := (runner.EventID{Attempt: e.Attempt, Seq: e.Seq}); filed[id] {
			delete(filed, id) // the same one may stand in the batch twice
			fresh = append(fresh, e)
		}
	}
	return fresh, nil
}

// derive files the rows that follow from an event; those of metrics wait for flush.
func (d *deriver) derive(e pipelines.Event) (err error) {
	switch {
	case e.Resumed != nil:
		d.retried, d.replay = true, true
		_, err = d.t.exec(`INSERT INTO resumes (run_id, attempt, seq, epoch, global_step) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING`,
			d.runID, e.Attempt, e.Seq, e.Resumed.Epoch, e.Resumed.GlobalStep)
	case e.Metrics != nil:
		for name, v := range e.Metrics.Values {
			d.value(e, series{name, e.Metrics.Split, ""}, e.Metrics.Epoch, e.Metrics.GlobalStep, v)
		}
	case e.Validation != nil:
		d.rare = true
		err = d.validation(e, *e.Validation)
	case e.Checkpoint != nil:
		d.rare = true
		c := e.Checkpoint
		_, err = d.t.exec(`INSERT INTO checkpoints (run_id, attempt, seq, name, epoch, global_step, body, superseded) VALUES (?,?,?,?,?,?,'',0)`,
			d.runID, e.Attempt, e.Seq, c.Name, c.Epoch, c.GlobalStep)
	case e.Message != nil:
		_, err = d.t.exec(`INSERT INTO messages (run_id, attempt, seq, time, level, body) VALUES (?,?,?,?,?,?)`,
			d.runID, e.Attempt, e.Seq, nanos(e.Time), e.Message.Level, e.Message.Text)
	case e.Result != nil:
		err = d.artifacts(e, e.Result.Artifacts)
	}
	return err
}

// number is how a measured number is stored: NaN as NULL, the only way that
// SQLite has; infinities as they are.
func number(v float64) any {
	if math.IsNaN(v) {
		return nil
	}
	return v
}

// validation files the pass itself, and its numbers as metric rows: the loss
// as "loss", and each class's under the class.
func (d *deriver) validation(e pipelines.Event, v pipelines.Validation) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var raw struct { // as JSON, which keeps NaN and infinities
		Metrics         json.RawMessage `json:"metrics"`
		PerClass        json.RawMessage `json:"per_class_metrics"`
		ConfusionMatrix json.RawMessage `json:"confusion_matrix"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return err
	}
	column := func(m json.RawMessage) any {
		if m == nil {
			return nil
		}
		return string(m)
	}
	_, err = d.t.exec(`INSERT INTO validation_results (run_id, job_id, attempt, seq, epoch, global_step, split, task_type,
			primary_metric_name, primary_metric_value, overall_loss, metrics, per_class_metrics, confusion_matrix, checkpoint_path, superseded)
		VALUES (?, (SELECT job_id FROM runs WHERE id = ?), ?,?,?,?,?,?,?,?,?,?,?,?,?,0)`,
		d.runID, d.runID, e.Attempt, e.Seq, v.Epoch, v.GlobalStep, v.Split, v.TaskType,
		v.PrimaryName, number(v.PrimaryValue), number(v.Loss), column(raw.Metrics), column(raw.PerClass), column(raw.ConfusionMatrix), v.CheckpointPath)
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
		d.value(e, series{name, v.Split, ""}, v.Epoch, v.GlobalStep, x)
	}
	for class, row := range v.PerClass {
		for name, x := range row {
			d.value(e, series{name, v.Split, class}, v.Epoch, v.GlobalStep, x)
		}
	}
	return nil
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
