// Package postgres keeps the state in a PostgreSQL database (version 13 or
// newer), which any number of machines may share.
package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlstore"
)

var _ runner.Store = (*sqlstore.Store)(nil)

// connectTimeout is how long one attempt to connect may take, unless the
// address says otherwise (connect_timeout=SECONDS).
const connectTimeout = 10 * time.Second

// Is reports that a store's name is a PostgreSQL address.
func Is(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// Open connects to the database at an address (postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…)
// and brings its schema up to date. A schema of a newer release is refused. A
// server that cannot be reached is an error of code unavailable. No error
// holds the password.
func Open(ctx context.Context, address string) (*sqlstore.Store, error) {
	where := Redact(address)
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "%s is no address of a PostgreSQL database, such as postgres://user:password@host:5432/database: %s", where, parseProblem(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if _, set := config.RuntimeParams["application_name"]; !set {
		config.RuntimeParams["application_name"] = "trainwright"
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		// A machine that vanishes within a transaction blocks others no
		// longer than this; nobody waits for another writer for ever.
		_, err := conn.Exec(ctx, `SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '30s'`)
		return err
	}))
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "the store %s cannot be used: %s", where, problem(err))
	}
	if err := migrate(ctx, db, where); err != nil {
		_ = db.Close()
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Dialect{Rebind: sqlstore.Numbered, Conflict: isConflict, Busy: isBusy, Refused: isRefused, Lock: lock, Away: isAway, Committed: committed}), nil
}

// Redact writes a store's address without its password.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, "://")
		return scheme + "://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		q.Del(secret)
	}
	u.RawQuery, u.Fragment = q.Encode(), ""
	return u.String()
}

// Password is the secret in a store's address; "" where there is none.
func Password(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if password, ok := u.User.Password(); ok {
		return password
	}
	return u.Query().Get("password")
}

// SQLSTATE codes, of the manual's appendix A.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	cannotConnectNow     = "57P03" // starting up or shutting down
	tooManyConnections   = "53300"
)

func isConflict(err error) bool { return stateOf(err) == uniqueViolation }

// isBusy reports an error that trying again may cure: others were faster, or
// the server is away.
func isBusy(err error) bool {
	switch stateOf(err) {
	case serializationFailure, deadlockDetected, lockNotAvailable:
		return true
	}
	return isAway(err)
}

// isRefused reports data or limits that trying again does not change.
func isRefused(err error) bool {
	state := stateOf(err)
	return strings.HasPrefix(state, "22") || strings.HasPrefix(state, "54")
}

func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
