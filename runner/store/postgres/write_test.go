package postgres

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/trainwright/trainwright/internal/pgtest"
)

// TestCommitted: what became of a write is known also after its server was
// killed, and while its session has not ended yet.
func TestCommitted(t *testing.T) {
	ctx := context.Background()
	server := pgtest.Start(t, "fsync=on")
	address := server.Database(t)
	s, err := Open(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	connect := func() *sql.DB {
		db, err := sql.Open("pgx", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	begin := func(db *sql.DB, subject string) (*sql.Tx, string, string) {
		t.Helper()
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		mark, err := lock(ctx, tx, subject)
		if err != nil {
			t.Fatal(err)
		}
		var number string
		if err := tx.QueryRowContext(ctx, `SELECT pg_current_xact_id()::text`).Scan(&number); err != nil {
			t.Fatal(err)
		}
		return tx, mark, number
	}
	ask := func(db *sql.DB, mark string) bool {
		t.Helper()
		done, err := committed(ctx, db, mark)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}

	db := connect()
	tx, kept, _ := begin(db, "a")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	_, lost, number := begin(db, "a")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	db = connect()
	reused := false
	for range 5 { // others go on, one of them with the number of the lost one
		tx, _, n := begin(db, "b")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		reused = reused || n == number
	}
	t.Logf("the number of the lost write was given to another: %v", reused)
	if !ask(db, kept) {
		t.Error("a write that was committed counts as lost")
	}
	if ask(db, lost) {
		t.Error("a write that was lost counts as committed")
	}

	for _, commit := range []bool{true, false} {
		tx, mark, _ := begin(db, "a")
		answer := make(chan bool)
		go func() { answer <- ask(db, mark) }()
		select {
		case <-answer:
			t.Error("the answer came while the write was open")
		case <-time.After(300 * time.Millisecond):
		}
		if commit {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if got := <-answer; err != nil || got != commit {
			t.Errorf("committed %v; the answer is %v, %v", commit, got, err)
		}
	}
}
