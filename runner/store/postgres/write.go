package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"sync/atomic"
)

// Each write leaves a mark, by which it can be told after its commit got no
// answer whether it is in the database. Transaction numbers cannot tell: a
// server that was killed gives those whose log never reached the disk to others.
const marks = `CREATE TABLE IF NOT EXISTS recent_writes (id TEXT COLLATE "C" PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now())`

// sweepEvery is after how many writes marks are removed that nobody asks for any more.
const sweepEvery = 1000

const sweep = `DELETE FROM recent_writes WHERE id IN (SELECT id FROM recent_writes WHERE at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED)`

var writes atomic.Int64

// lock makes writes of one subject take turns, and returns the mark of this one.
func lock(ctx context.Context, tx *sql.Tx, subject string) (mark string, err error) {
	mark = rand.Text()
	var none any
	err = tx.QueryRowContext(ctx, `WITH mark AS (INSERT INTO recent_writes (id) VALUES ($2)) SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text`,
		"trainwright:"+subject, mark).Scan(&none)
	if err == nil && writes.Add(1)%sweepEvery == 0 {
		_, err = tx.ExecContext(ctx, sweep)
	}
	return mark, err
}

// committed tells what became of a write. It leaves the same mark: that waits
// for the write where its session has not noticed yet that nobody listens,
// fails where it was committed, and else keeps it from being so later.
func committed(ctx context.Context, db *sql.DB, mark string) (bool, error) {
	res, err := db.ExecContext(ctx, `INSERT INTO recent_writes (id) VALUES ($1) ON CONFLICT DO NOTHING`, mark)
	if stateOf(err) == lockNotAvailable {
		return false, driver.ErrBadConn // it is asked again
	}
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 0, err
}
