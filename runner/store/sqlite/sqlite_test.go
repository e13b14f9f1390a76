package sqlite

import (
	"context"
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
	if _, err := p.UpTo(ctx, 1); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`INSERT INTO runs (id, pipeline, address, apply_id, content_key, status, kind, adapter, model, task_type, parent, dir, executor, attempts, error, cause, created, started, ended)
		VALUES ('old', 'p', 'train.a', '', '', 'completed', 'train', '', '', '', '', '', '', 1, '', '', 1, 1, 1)`)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()

	s, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
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
