package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// CreateToken files a token. Its id or hash a second time is a conflict.
func (s *Store) CreateToken(ctx context.Context, t runner.Token) error {
	if !t.Role.Valid() || t.ID == "" || len(t.SHA256) != 64 {
		return pipelines.Errorf(pipelines.CodeInvalid, "a token needs an id, the SHA-256 of its secret in hex and a role, which %q is not", t.Role)
	}
	return s.write(ctx, "file token "+t.ID, "token "+t.ID, func(x tx) error {
		_, err := x.exec(`INSERT INTO tokens (id, role, run_id, label, sha256, created, expires, revoked, last_used) VALUES (?,?,?,?,?,?,?,?,?)`,
			t.ID, string(t.Role), t.RunID, t.Label, t.SHA256, nanos(t.Created), nanos(t.Expires), nanos(t.Revoked), nanos(t.LastUsed))
		return err
	})
}

const tokenColumns = `id, role, run_id, label, sha256, created, expires, revoked, last_used`

// Tokens lists all tokens, newest first, also those that are void.
func (s *Store) Tokens(ctx context.Context) ([]runner.Token, error) {
	return list(ctx, s, "list tokens", scanToken, `SELECT `+tokenColumns+` FROM tokens ORDER BY created DESC, id`)
}

// TokenByHash finds the token whose secret has that SHA-256 (hex).
func (s *Store) TokenByHash(ctx context.Context, sha256 string) (runner.Token, error) {
	found, err := list(ctx, s, "look up a token", scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE sha256 = ?`, sha256)
	if err != nil {
		return runner.Token{}, err
	}
	if len(found) == 0 {
		return runner.Token{}, pipelines.Errorf(pipelines.CodeNotFound, "no such token") // the hash is nobody's business
	}
	return found[0], nil
}

// RevokeToken makes a token void from now on; the first time counts.
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, "revoke token "+id, "token "+id, func(x tx) error {
		n, err := x.exec(`UPDATE tokens SET revoked = CASE WHEN revoked = 0 THEN CAST(? AS BIGINT) ELSE revoked END WHERE id = ?`, nanos(at), id)
		return changed(n, err, "token", id)
	})
}

// UseToken notes when a token was used last; an earlier time changes nothing.
func (s *Store) UseToken(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, "note the use of token "+id, "token "+id, func(x tx) error {
		n, err := x.exec(`UPDATE tokens SET last_used = CASE WHEN last_used < CAST(? AS BIGINT) THEN CAST(? AS BIGINT) ELSE last_used END WHERE id = ?`, nanos(at), nanos(at), id)
		return changed(n, err, "token", id)
	})
}

func scanToken(rows *sql.Rows) (t runner.Token, err error) {
	var created, expires, revoked, used int64
	err = rows.Scan(&t.ID, &t.Role, &t.RunID, &t.Label, &t.SHA256, &created, &expires, &revoked, &used)
	t.Created, t.Expires, t.Revoked, t.LastUsed = moment(created), moment(expires), moment(revoked), moment(used)
	return t, err
}
