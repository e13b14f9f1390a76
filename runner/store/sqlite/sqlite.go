// Package sqlite keeps the state in one SQLite file, which several processes
// of one machine may use at once: write-ahead log, every commit synced, one
// writer at a time, others wait. Not for network file systems.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlstore"
)

var _ runner.Store = (*sqlstore.Store)(nil)

// busyTimeout is how long a writer waits for another one.
const busyTimeout = 30 * time.Second

// Open opens the store in the file at path, which it makes if need be, and
// brings its schema up to date. A schema of a newer release is refused.
func Open(ctx context.Context, path string) (*sqlstore.Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	db, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	if err := migrate(ctx, db, path); err != nil {
		_ = db.Close()
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Dialect{Conflict: isConflict, Busy: isBusy}), nil
}

func open(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// A URI, so that any character may stand in the path.
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		// Statements that file many rows take long to prepare.
		"_stmt_cache_size": {"100"},
	}.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	// Readers do not wait for the writer; more connections than this only add open files.
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, nil
}

// checkFile refuses what is there and is no SQLite file, before anything is
// written beside it.
func checkFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	switch {
	case errors.Is(err, io.EOF): // made, and not written yet
	case errors.Is(err, syscall.EISDIR):
		return pipelines.Errorf(pipelines.CodeInvalid, "the state %s is a folder; name a file in it, as in %s", path, filepath.Join(path, "state.db"))
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read state: %w", err)
	case string(head[:n]) != magic:
		return pipelines.Errorf(pipelines.CodeInvalid, "the file %s is no state: it is not a SQLite file; name another one", path)
	}
	return nil
}

func isConflict(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

func isBusy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}
