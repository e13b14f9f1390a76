package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

type tokensOutput struct{ Body TokenList }

// TokenList is all tokens, sessions among them.
type TokenList struct {
	Tokens []TokenInfo `json:"tokens" nullable:"false"`
}

// TokenInfo is a token without its secret, of which nothing is kept but a hash.
type TokenInfo struct {
	ID       string     `json:"id"`
	Role     Scope      `json:"role" enum:"admin,write,read,run-status,run-report"`
	RunID    string     `json:"run_id,omitempty"`
	Label    string     `json:"label,omitempty"`
	Created  *time.Time `json:"created,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

func tokenInfo(t runner.Token) TokenInfo {
	return TokenInfo{ID: t.ID, Role: t.Role, RunID: t.RunID, Label: t.Label, Created: when(t.Created), Expires: when(t.Expires), Revoked: when(t.Revoked), LastUsed: when(t.LastUsed)}
}

func (s *Server) tokenStore() (runner.Tokens, error) {
	if s.cfg.TokenStore == nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "this server keeps no tokens but those that it was started with")
	}
	return s.cfg.TokenStore, nil
}

func (s *Server) listTokens(ctx context.Context, _ *struct{}) (*tokensOutput, error) {
	store, err := s.tokenStore()
	if err != nil {
		return nil, err
	}
	all, err := store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	out := &tokensOutput{Body: TokenList{Tokens: []TokenInfo{}}}
	for _, t := range s.cfg.Tokens {
		out.Body.Tokens = append(out.Body.Tokens, TokenInfo{ID: t.ID, Role: t.Scope, Label: "of the server's start", Created: when(t.Created)})
	}
	for _, t := range all {
		out.Body.Tokens = append(out.Body.Tokens, tokenInfo(t))
	}
	return out, nil
}

type createTokenInput struct {
	Body struct {
		Role    Scope  `json:"role" enum:"admin,write,read,run-status,run-report"`
		Label   string `json:"label,omitempty" maxLength:"200" doc:"whose it is, for people"`
		RunID   string `json:"run_id,omitempty" maxLength:"200" doc:"the run, or its job_id, that a run-status or run-report token is for"`
		Seconds int64  `json:"expires_in" minimum:"0" maximum:"315360000" required:"false" doc:"seconds; 0 or left out = never, or 7 days for those of one run"`
	}
}

type createTokenOutput struct{ Body NewTokenAnswer }

// NewTokenAnswer is a token with its secret, this once.
type NewTokenAnswer struct {
	TokenInfo
	Secret string `json:"secret" doc:"shown this once"`
}

func (s *Server) createToken(ctx context.Context, in *createTokenInput) (*createTokenOutput, error) {
	store, err := s.tokenStore()
	if err != nil {
		return nil, err
	}
	run := in.Body.RunID
	if run != "" {
		found, err := s.find(ctx, run)
		if err != nil {
			return nil, err
		}
		run = found.ID
	}
	t, secret, err := MakeToken(ctx, store, in.Body.Role, run, in.Body.Label, time.Duration(in.Body.Seconds)*time.Second, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &createTokenOutput{Body: NewTokenAnswer{TokenInfo: tokenInfo(t), Secret: secret}}, nil
}

// runTokenTime is how long a token of one run lives unless told otherwise.
const runTokenTime = 7 * 24 * time.Hour

// MakeToken files a token and returns its secret, this once. life 0 = it does
// not expire, or after 7 days if it is for one run.
func MakeToken(ctx context.Context, store runner.Tokens, role Scope, run, label string, life time.Duration, now time.Time) (runner.Token, string, error) {
	if !role.Valid() {
		return runner.Token{}, "", pipelines.Errorf(pipelines.CodeInvalid, "there is no role %q; there are admin, write, read, run-status and run-report", role)
	}
	if role.OfRun() != (run != "") {
		return runner.Token{}, "", pipelines.Errorf(pipelines.CodeInvalid, "a run belongs to a token of the role run-status or run-report, and to no other")
	}
	if role.OfRun() && life == 0 {
		life = runTokenTime
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	made, secret := NewToken(hex.EncodeToString(id[:]), role, now)
	t := runner.Token{ID: made.ID, Role: role, RunID: run, Label: label, SHA256: made.SHA256, Created: made.Created}
	if life > 0 {
		t.Expires = now.UTC().Add(life)
	}
	return t, secret, store.CreateToken(ctx, t)
}

type tokenPath struct {
	ID string `path:"id" maxLength:"200" doc:"a token's id"`
}

type revokedOutput struct{ Body TokenList }

func (s *Server) revokeToken(ctx context.Context, in *tokenPath) (*revokedOutput, error) {
	store, err := s.tokenStore()
	if err != nil {
		return nil, err
	}
	done, err := RevokeToken(ctx, store, in.ID, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	out := &revokedOutput{Body: TokenList{Tokens: []TokenInfo{}}}
	for _, t := range done {
		out.Body.Tokens = append(out.Body.Tokens, tokenInfo(t))
	}
	return out, nil
}

// RevokeToken makes a token void, and the sessions begun with it.
func RevokeToken(ctx context.Context, store runner.Tokens, id string, now time.Time) ([]runner.Token, error) {
	if err := store.RevokeToken(ctx, id, now); err != nil {
		return nil, err
	}
	all, err := store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	var done []runner.Token
	for _, t := range all {
		switch {
		case t.ID == id:
		case t.Label == sessionOf(id) && t.Revoked.IsZero():
			if err := store.RevokeToken(ctx, t.ID, now); err != nil {
				return done, err
			}
			t.Revoked = now
		default:
			continue
		}
		done = append(done, t)
	}
	return done, nil
}
