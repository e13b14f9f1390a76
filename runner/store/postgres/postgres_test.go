package postgres

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"

	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/storetest"
)

func TestStore(t *testing.T) {
	server := pgtest.Start(t)
	storetest.Run(t, func(t *testing.T) storetest.Open {
		address := server.Database(t)
		return func(t *testing.T) runner.Store {
			s, err := Open(context.Background(), address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}

func TestTables(t *testing.T) {
	address := pgtest.Start(t).Database(t)
	s, err := Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.Tables(t, s, db)
}

func TestQueue(t *testing.T) {
	server := pgtest.Start(t)
	storetest.RunQueue(t, func(t *testing.T) func(t *testing.T) storetest.QueueStore {
		address := server.Database(t)
		return func(t *testing.T) storetest.QueueStore {
			s, err := Open(context.Background(), address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	})
}

func TestOpenAtOnce(t *testing.T) {
	address := pgtest.Start(t).Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(context.Background(), address)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestOpenRefusals(t *testing.T) {
	server := pgtest.Start(t)
	ctx, newer := context.Background(), server.Database(t)
	s, err := Open(ctx, newer)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := sql.Open("pgx", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO ` + versionTable + ` (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	const secret = "hunter2-hunter2"
	for _, tt := range []struct {
		address string
		code    pipelines.Code
		want    string
	}{
		{newer, pipelines.CodeInvalid, "newer runner"},
		{strings.Replace(newer, "/db1", "/none", 1), pipelines.CodeUnavailable, `database "none" does not exist`},
		{"postgres://me:" + secret + "@127.0.0.1:1/x?sslmode=disable", pipelines.CodeUnavailable, "refused"},
		{"postgres://me:" + secret + "@/x?host=/nowhere", pipelines.CodeUnavailable, "Is the server up"},
		{"postgres://me:" + secret + "@host:port/x", pipelines.CodeInvalid, "no address"},
		{"postgres://me:" + secret + "@host/x?sslmode=perhaps", pipelines.CodeInvalid, "sslmode"},
		{"postgres://me@host/x?sslmode=perhaps&password=" + secret, pipelines.CodeInvalid, "sslmode"},
		{"postgres://me:" + secret + "%zz@host/x", pipelines.CodeInvalid, "no address"},
	} {
		_, err := Open(ctx, tt.address)
		if pipelines.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v with code %q, want %q", tt.address, err, pipelines.CodeOf(err), tt.code)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "not-asked-for")) {
			t.Errorf("the error tells the password: %v", err)
		}
		t.Log(err)
	}
}
