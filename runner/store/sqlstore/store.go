// Package sqlstore is runner.Store over database/sql: the SQL that SQLite and
// PostgreSQL share. A database package opens the connection, brings the
// schema up to date and says in a Dialect where it differs.
//
// Events are the truth. Every other row about what a step did (metrics,
// validations, checkpoints, artifacts, messages, progress, the applied
// config) is derived from them in the same transaction, as a function of the
// set of events filed and not of the order in which they came.
package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trainwright/trainwright/pipelines"
)

// Dialect is where databases differ.
type Dialect struct {
	// Rebind turns question marks into the database's parameters; nil = as they are.
	Rebind func(query string) string
	// Conflict reports that an error is a violated unique key.
	Conflict func(error) bool
	// Busy reports that the database is locked or away for the moment.
	Busy func(error) bool
	// Refused reports that the database never takes such data, as a name too
	// long for an index; nil = that has no form of its own.
	Refused func(error) bool
	// Lock makes a transaction wait for others with the same subject, and
	// names it, for Committed; nil where a transaction excludes all other
	// writers from its start. Those of this process then queue for it, since a
	// database whose writers look again now and then makes them late.
	Lock func(ctx context.Context, tx *sql.Tx, subject string) (id string, err error)
	// Away reports that the server cannot be reached or went away; nil = it is
	// always there. Committed tells what became of a transaction whose commit
	// got no answer.
	Away      func(error) bool
	Committed func(ctx context.Context, db *sql.DB, id string) (bool, error)
}

// Store fulfils runner.Store. Each of its writes is a transaction that no
// other write of the same subject (a run, a lock, a slot) overlaps.
type Store struct {
	db      *sql.DB
	dialect Dialect
	series  seriesCache
	waiting Waiting
	turn    chan struct{} // held by a writer where Lock is nil
}

// New makes a store over a database whose schema is up to date.
func New(db *sql.DB, d Dialect) *Store {
	if d.Rebind == nil {
		d.Rebind = func(q string) string { return q }
	}
	d.Rebind = remembered(d.Rebind)
	return &Store{db: db, dialect: d, turn: make(chan struct{}, 1)}
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// tx is a transaction that knows the dialect.
type tx struct {
	ctx context.Context
	tx  *sql.Tx
	s   *Store
}

func (t tx) exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, t.s.dialect.Rebind(query), plain(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t tx) row(query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(t.ctx, t.s.dialect.Rebind(query), plain(args)...)
}

func (t tx) query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, t.s.dialect.Rebind(query), plain(args)...)
}

// write runs fn in a transaction that no other of the same subject overlaps,
// and says what was being done in its error. fn may run again.
func (s *Store) write(ctx context.Context, doing, subject string, fn func(tx) error) error {
	return s.fail(doing, s.patiently(ctx, s.waiting, func() error { return s.writeOnce(ctx, subject, fn) }))
}

func (s *Store) writeOnce(ctx context.Context, subject string, fn func(tx) error) error {
	if s.dialect.Lock == nil {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	sqlTx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	id := ""
	if s.dialect.Lock != nil {
		id, err = s.dialect.Lock(ctx, sqlTx, subject)
	}
	if err == nil {
		err = fn(tx{ctx, sqlTx, s})
	}
	if err != nil {
		_ = sqlTx.Rollback()
		return err
	}
	err = sqlTx.Commit()
	if err != nil && s.away(err) && s.dialect.Committed != nil {
		return s.settle(ctx, id, err)
	}
	return err
}

// fail gives an error of the database its code; errors that have one pass.
func (s *Store) fail(doing string, err error) error {
	var coded *pipelines.Error
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case s.dialect.Conflict != nil && s.dialect.Conflict(err):
		return pipelines.Errorf(pipelines.CodeConflict, "%s: it exists already: %w", doing, err)
	case s.dialect.Busy != nil && s.dialect.Busy(err):
		return pipelines.Errorf(pipelines.CodeUnavailable, "%s: the store is busy or away; try again: %w", doing, err)
	case s.dialect.Refused != nil && s.dialect.Refused(err):
		return pipelines.Errorf(pipelines.CodeInvalid, "%s: the database does not take it: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// plain makes what is stored the same everywhere: PostgreSQL takes neither
// NUL nor bytes that are not UTF-8 in text, and log lines have both.
func plain(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = plainText(v)
		case json.RawMessage:
			args[i] = []byte(v)
		}
	}
	return args
}

func plainText(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// changed makes "no row changed" a not-found error.
func changed(n int64, err error, noun, id string) error {
	if err == nil && n == 0 {
		return pipelines.Errorf(pipelines.CodeNotFound, "there is no %s %q in the store", noun, id)
	}
	return err
}

// list scans every row of a query. scan may see the first rows again.
func list[T any](ctx context.Context, s *Store, doing string, scan func(*sql.Rows) (T, error), query string, args ...any) (out []T, err error) {
	err = s.patiently(ctx, s.waiting, func() error {
		out, err = listOnce(ctx, s, scan, query, args...)
		return err
	})
	return out, s.fail(doing, err)
}

func listOnce[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.Rebind(query), plain(args)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Times are stored as nanoseconds since 1970, the zero time as 0.

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// text encodes a value as JSON, nil pointers as NULL.
func text[T any](v *T) (any, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// untext is the inverse of text.
func untext[T any](s sql.NullString) (*T, error) {
	if !s.Valid || s.String == "" {
		return nil, nil
	}
	v := new(T)
	if err := json.Unmarshal([]byte(s.String), v); err != nil {
		return nil, err
	}
	return v, nil
}
