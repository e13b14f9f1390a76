package storetest

import (
	"context"
	"database/sql"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Tables checks what those who read the database with SQL rely on: db is that
// of s, which is empty.
func Tables(t *testing.T, s runner.Store, db *sql.DB) {
	for table, columns := range map[string][]string{
		"applies": {"id", "pipeline", "status"}, "runs": {"id", "job_id", "pipeline", "address", "status"}, "steps": {"pipeline", "address", "run_id", "status"},
		"attempts": {"run_id", "number", "status"}, "training_metrics": {"series_id", "epoch", "global_step", "value", "superseded"},
		"validation_results": {"job_id", "epoch", "task_type", "primary_metric_name", "primary_metric_value", "overall_loss", "metrics", "per_class_metrics", "confusion_matrix", "checkpoint_path"},
		"messages":           {"run_id", "level", "body"}, "checkpoints": {"run_id", "name", "epoch", "global_step"}, "artifacts": {"run_id", "name"},
		"events": {"run_id", "attempt", "seq", "type", "body"}, "tokens": {"id", "role", "sha256", "expires", "revoked"},
	} {
		rows, err := db.Query(`SELECT * FROM ` + table)
		if err != nil {
			t.Errorf("%s: %v", table, err)
			continue
		}
		have, err := rows.Columns()
		rows.Close()
		for _, c := range columns {
			if err != nil || !slices.Contains(have, c) {
				t.Errorf("%s has no column %s: %v, %v", table, c, have, err)
			}
		}
	}
	for _, id := range []string{"old", "new"} {
		must(s.CreateRun(context.Background(), pipelines.Run{ID: id, Pipeline: "p", Address: "train.a", Status: pipelines.StatusRunning, Kind: pipelines.KindTrain}))(t)
	}
	var run, status string
	if err := db.QueryRow(`SELECT run_id, status FROM steps`).Scan(&run, &status); err != nil || run != "new" || status != "running" {
		t.Errorf("the step's run is %s, %s, %v", run, status, err)
	}
	var n int
	if err := db.QueryRow(`SELECT COUNT(*) FROM steps`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d steps, %v", n, err)
	}
}
