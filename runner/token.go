package runner

import (
	"context"
	"time"
)

// Role is what a token allows. Admin includes write, write includes read.
type Role string

const (
	RoleAdmin     Role = "admin"      // tokens too
	RoleWrite     Role = "write"      // start, stop, save
	RoleRead      Role = "read"       // look at everything
	RoleRunStatus Role = "run-status" // look at one run
	RoleRunReport Role = "run-report" // send events of one run
)

// Valid reports that there is such a role.
func (r Role) Valid() bool {
	switch r {
	case RoleAdmin, RoleWrite, RoleRead, RoleRunStatus, RoleRunReport:
		return true
	}
	return false
}

// OfRun reports that the role is for one run.
func (r Role) OfRun() bool { return r == RoleRunStatus || r == RoleRunReport }

// Token is a token as it is remembered: never itself, only its hash.
type Token struct {
	ID       string    `json:"id"` // for people and logs
	Role     Role      `json:"role"`
	RunID    string    `json:"run_id,omitempty"` // the only run that it is for
	Label    string    `json:"label,omitempty"`
	SHA256   string    `json:"-"` // of the secret, hex
	Created  time.Time `json:"created,omitzero"`
	Expires  time.Time `json:"expires,omitzero"` // zero = never
	Revoked  time.Time `json:"revoked,omitzero"` // zero = not
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Holds reports that the token is good at a time: neither expired nor revoked.
func (t Token) Holds(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// Tokens remembers who may do what over HTTP. It is part of Store.
type Tokens interface {
	// CreateToken files a token; its id or hash a second time is a conflict.
	CreateToken(ctx context.Context, t Token) error
	// Tokens lists all, newest first, also those that are void.
	Tokens(ctx context.Context) ([]Token, error)
	// TokenByHash finds the token whose secret has that SHA-256 (hex), also one that is void.
	TokenByHash(ctx context.Context, sha256 string) (Token, error)
	// RevokeToken makes a token void; the first time counts.
	RevokeToken(ctx context.Context, id string, at time.Time) error
	// UseToken notes when a token was used last.
	UseToken(ctx context.Context, id string, at time.Time) error
}
