package sqlite

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "a b ü?#%41", "state.db")
		return func(t *testing.T) runner.Store {
			s, err := Open(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}

func TestTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.Tables(t, s, db)
}

func TestQueue(t *testing.T) {
	storetest.RunQueue(t, func(t *testing.T) func(t *testing.T) storetest.QueueStore {
		path := filepath.Join(t.TempDir(), "state.db")
		return func(t *testing.T) storetest.QueueStore {
			s, err := Open(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}

func TestOpenMigratesAnOlderSchemaAndKeepsItsRows(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "state.db")
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 3); err != nil { // the first that had users
		t.Fatal(err)
	}
	_, err = db.Exec(`INSERT INTO runs (id, pipeline, address, apply_id, content_key, status, kind, adapter, model, task_type, parent, dir, executor, attempts, error, cause, created, started, ended)
		VALUES ('old', 'p', 'train.a', '', '', 'completed', 'train', '', '', '', '', '', '', 1, '', '', 1, 1, 1)`)
	if err != nil {
		t.Fatal(err)
	}
	validation := pipelines.Event{Version: 1, Attempt: 1, Seq: 7, Type: pipelines.EventValidation, Validation: &pipelines.Validation{
		Epoch: 1, GlobalStep: 9, TaskType: "image_classification", Split: "val", PrimaryName: "accuracy", PrimaryValue: 0.5, Loss: math.NaN(), ConfusionMatrix: [][]int64{{1, 2}},
	}}
	body, err := json.Marshal(validation)
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`INSERT INTO events VALUES ('old', 1, 7, 1, 'validation', '` + string(body) + `')`,
		`INSERT INTO validations VALUES ('old', 1, 7, 1, 9, 'val', '` + string(body) + `', 0)`,
		`INSERT INTO metrics VALUES ('old', 'loss', 'train', '', 1, 8, 1, 6, 0.25, 0, 1), ('old', 'loss', 'train', '', 1, 9, 1, 7, NULL, 0, 1)`,
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()

	s, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if v, err := s.Validations(ctx, "old"); err != nil || len(v) != 1 || v[0].PrimaryValue != 0.5 || !math.IsNaN(v[0].Loss) || v[0].ConfusionMatrix[0][1] != 2 {
		t.Errorf("validations %+v, %v", v, err)
	}
	// The next event of the same curve goes into the same series.
	more := pipelines.Event{Version: 1, Attempt: 1, Seq: 8, Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Epoch: 1, GlobalStep: 10, Split: "train", Values: map[string]float64{"loss": 0.125}}}
	if _, err := s.AppendEvents(ctx, "old", []pipelines.Event{more}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Metrics(ctx, runner.MetricFilter{RunID: "old"}); err != nil || len(m) != 3 || m[0].Value != 0.25 || !math.IsNaN(m[1].Value) || m[2].Value != 0.125 {
		t.Errorf("metrics %+v, %v", m, err)
	}
	if db, err = open(path); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var job int64
	var name, matrix string
	var value float64
	var loss *float64
	err = db.QueryRow(`SELECT job_id, primary_metric_name, primary_metric_value, overall_loss, confusion_matrix FROM validation_results`).Scan(&job, &name, &value, &loss, &matrix)
	if err != nil || job != 1 || name != "accuracy" || value != 0.5 || loss != nil || matrix != "[[1,2]]" {
		t.Errorf("validation_results: %d %s %v %v %s, %v", job, name, value, loss, matrix, err)
	}
	if r, err := s.Run(ctx, "old"); err != nil || r.Status != pipelines.StatusCompleted {
		t.Errorf("run %+v, %v", r, err)
	}
	e := pipelines.Event{Version: 1, Attempt: 1, Seq: 1, Type: pipelines.EventMetrics, Metrics: &pipelines.Metrics{Values: map[string]float64{"loss": 1}}}
	if n, err := s.AppendEvents(ctx, "old", []pipelines.Event{e}); n != 1 || err != nil {
		t.Errorf("events into the migrated state: %d, %v", n, err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "state.db")
	s, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err = Open(ctx, path)
	if pipelines.CodeOf(err) != pipelines.CodeInvalid || !strings.Contains(err.Error(), "9999") || !strings.Contains(err.Error(), "newer runner") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesWhatIsNoState(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "main.hcl")
	if err := os.WriteFile(text, []byte("pipeline \"p\" {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a folder", text: "not a SQLite file"} {
		_, err := Open(context.Background(), path)
		if pipelines.CodeOf(err) != pipelines.CodeInvalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
		if _, err := os.Stat(path + ".migrate"); err == nil {
			t.Errorf("a file was left beside %s", path)
		}
	}
}

func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestCommitsAreDurable(t *testing.T) {
	s, err := open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mode string
	var sync int
	if err := s.QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil {
		t.Fatal(err)
	}
	if err := s.QueryRow(`PRAGMA synchronous`).Scan(&sync); err != nil {
		t.Fatal(err)
	}
	if mode != "wal" || sync != 2 {
		t.Errorf("journal_mode %s, synchronous %d; want wal, 2 (FULL)", mode, sync)
	}
}
