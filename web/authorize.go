package web

import (
	"context"
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// tokenKey finds the asking token in a handler's context.
type tokenKey struct{}

// askingToken is where a plain route finds it.
const askingToken = "asking token"

func asking(c *fiber.Ctx) Token {
	t, _ := c.Locals(askingToken).(Token)
	return t
}

func tokenOf(ctx context.Context) Token {
	t, _ := ctx.Value(tokenKey{}).(Token)
	return t
}

// sessionCookie is the cookie of those who logged in.
const sessionCookie = "runner_session"

// protocolToken is how a WebSocket of a browser, which sets no header of its
// own, carries a token: Sec-WebSocket-Protocol: trainwright, bearer.TOKEN.
const (
	protocolName  = "trainwright"
	protocolToken = "bearer."
)

// credential is the secret that a request carries, and how.
func credential(c *fiber.Ctx) (secret string, cookie bool, err error) {
	if header := c.Get(fiber.HeaderAuthorization); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false, unauthenticated("the token is not one of this server's")
		}
		return strings.TrimSpace(secret), false, nil
	}
	for p := range strings.SplitSeq(c.Get(fiber.HeaderSecWebSocketProtocol), ",") {
		if secret, ok := strings.CutPrefix(strings.TrimSpace(p), protocolToken); ok {
			return secret, false, nil
		}
	}
	secret = c.Cookies(sessionCookie)
	return secret, secret != "", nil
}

func unauthenticated(detail string) *Problem {
	return problem(http.StatusUnauthorized, codeUnauthenticated, detail)
}

// authorize decides whether a request may use a route. A token that is wrong is
// refused also where none is needed, so that its owner hears of it; a session
// that is over counts as none there.
func (s *Server) authorize(c *fiber.Ctx, r Route) (Token, error) {
	if r.Access == Open {
		return Token{}, nil
	}
	if r.Access == Login {
		return Token{}, checkBody(c)
	}
	secret, cookie, err := credential(c)
	if err != nil {
		return Token{}, err
	}
	var token Token
	if secret != "" {
		token, err = s.lookup(c.UserContext(), secret)
		var p *Problem
		if cookie && errors.As(err, &p) && p.Status == http.StatusUnauthorized && r.Access == Read && !s.cfg.Public {
			secret, err = "", nil
		}
		if err != nil {
			return Token{}, err
		}
	}
	if secret == "" {
		if r.Access == Read && !s.cfg.Public {
			return Token{}, nil
		}
		return Token{}, unauthenticated("this needs a token: Authorization: Bearer TOKEN, or a session of POST /api/v1/login")
	}
	if err := s.mayUse(c, r, token); err != nil {
		return token, err
	}
	if !r.Access.mutates() || c.Method() == fiber.MethodGet {
		return token, nil
	}
	if cookie && c.Get(fiber.HeaderOrigin) == "" && c.Get("Sec-Fetch-Site") == "" {
		// Browsers say where a request comes from; what says nothing has no business with a cookie.
		return token, problem(http.StatusForbidden, codeForbidden, "a session changes something only for requests with an Origin; programs send Authorization: Bearer TOKEN")
	}
	return token, checkBody(c)
}

// mayUse holds a token's scope against a route's rule.
func (s *Server) mayUse(c *fiber.Ctx, r Route, t Token) error {
	forbid := func(detail string) error { return problem(http.StatusForbidden, codeForbidden, detail) }
	if t.Scope == ScopeReport {
		if r.Path != callbackPath && r.Path != trainJobPath {
			return forbid("this token may send events of one run only")
		}
		c.Locals(reportedRun, t.RunID)
		return nil
	}
	if t.Scope == ScopeRun {
		if r.Access != Read || !strings.HasPrefix(r.Path, "/api/v1/runs/{id}") && r.Path != "/api/v1/login" && r.Path != wsPath {
			return forbid("this token may look at one run only")
		}
		if id := c.Params("id"); id != "" {
			if run, err := s.find(c.UserContext(), id); err != nil || run.ID != t.RunID {
				return forbid("this token is for another run")
			}
		}
		return nil
	}
	switch {
	case r.Access == Admin && t.Scope != ScopeAdmin:
		return forbid("this needs an admin token")
	case r.Access == Write && t.Scope != ScopeAdmin && t.Scope != ScopeWrite:
		return forbid("this needs a write token; this token may only read")
	}
	return nil
}

// checkBody requires of requests that carry a body that it is said to be
// JSON, which no form of another site can.
func checkBody(c *fiber.Ctx) error {
	if c.Method() == fiber.MethodDelete && len(c.Request().Body()) == 0 {
		return nil
	}
	if t, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); err != nil || t != fiber.MIMEApplicationJSON {
		return problem(http.StatusUnsupportedMediaType, codeMediaType, "requests that change something carry Content-Type: application/json, which no form of another site can")
	}
	return nil
}

// lookup finds the token of a secret and checks that it holds.
func (s *Server) lookup(ctx context.Context, secret string) (Token, error) {
	if t, ok := s.cfg.Tokens.find(secret); ok {
		return t, nil
	}
	unknown := unauthenticated("the token is not one of this server's")
	if s.cfg.TokenStore == nil {
		return Token{}, unknown
	}
	hash := hashOf(secret)
	t, err := s.cfg.TokenStore.TokenByHash(ctx, hash)
	now := s.cfg.Now()
	switch {
	case pipelines.CodeOf(err) == pipelines.CodeNotFound:
		return Token{}, unknown
	case err != nil:
		return Token{}, err
	case subtle.ConstantTimeCompare([]byte(hash), []byte(t.SHA256)) != 1:
		return Token{}, unknown
	case !t.Revoked.IsZero():
		return Token{}, unauthenticated("the token was revoked")
	case !t.Holds(now):
		return Token{}, unauthenticated("the token has expired")
	}
	if s.sessions.due(t.ID, now) {
		if err := s.cfg.TokenStore.UseToken(ctx, t.ID, now); err != nil {
			s.cfg.Log.Warn("the use of a token is not noted", "token", t.ID, "error", err)
		}
	}
	return Token{ID: t.ID, Scope: t.Role, SHA256: t.SHA256, RunID: t.RunID, Created: t.Created, Expires: t.Expires}, nil
}

// sessions are one-time codes that wait to be exchanged, and when the use of
// tokens was noted.
type sessions struct {
	mu    sync.Mutex
	codes map[string]time.Time // SHA-256 of a code -> until when it may be used
	noted map[string]time.Time
}

// due reports that a token's use is to be noted: once a minute.
func (ss *sessions) due(id string, now time.Time) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if last, ok := ss.noted[id]; ok && now.Sub(last) < time.Minute {
		return false
	}
	if ss.noted == nil || len(ss.noted) > 10000 {
		ss.noted = map[string]time.Time{}
	}
	ss.noted[id] = now
	return true
}

func (ss *sessions) add(code string, until time.Time) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.codes == nil {
		ss.codes = map[string]time.Time{}
	}
	ss.codes[hashOf(code)] = until
}

// take uses a code up.
func (ss *sessions) take(code string, now time.Time) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	hash := hashOf(code)
	until, ok := ss.codes[hash]
	delete(ss.codes, hash)
	return ok && now.Before(until)
}
