package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// isAway reports that the server could not be reached, or went away with the
// connection: it was stopped, killed, or the network failed.
func isAway(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	switch state := stateOf(err); {
	case state == cannotConnectNow, state == tooManyConnections,
		strings.HasPrefix(state, "57P"), // admin_shutdown, crash_shutdown, …
		strings.HasPrefix(state, "08"):  // connection exceptions
		return true
	case state != "":
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "conn closed") // pgx, of a connection that broke before
}

// problem says why there is no connection, in one line and without the address.
func problem(err error) string {
	text := err.Error()
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		text = pg.Message
		switch {
		case strings.HasPrefix(pg.Code, "28"):
			text += ". Check the user, the password and the server's pg_hba.conf"
		case pg.Code == "3D000":
			text += ". Make it first, as with createdb"
		}
		return text
	}
	// pgx tells every host and way that it tried, one a line; the last says most.
	lines := strings.Split(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(lines[len(lines)-1])
	if _, after, ok := strings.Cut(text, "failed to connect to "); ok {
		if _, why, ok := strings.Cut(after, "`: "); ok {
			text = why
		}
	}
	return text + ". Is the server up, and the address right?"
}

// parseProblem is what is wrong with an address, without the address.
func parseProblem(err error) string {
	text := err.Error()
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		if i := strings.LastIndex(text, ": "); i >= 0 {
			text = text[i+2:]
		}
	}
	return text
}
