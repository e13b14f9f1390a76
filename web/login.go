package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

const (
	sessionTime = 12 * time.Hour
	codeTime    = 15 * time.Minute
)

// LoginPath makes a one-time code and returns the path that logs its user in
// as an admin, once, within 15 minutes: "" where no sessions are kept.
func (s *Server) LoginPath() string {
	if s.cfg.TokenStore == nil {
		return ""
	}
	code := randomText()
	s.sessions.add(code, s.cfg.Now().Add(codeTime))
	return "/login?code=" + code
}

func randomText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// begin files a session of who (a token, or the user of a one-time code) and
// returns its cookie.
func (s *Server) begin(ctx context.Context, who Token) (runner.Token, string, error) {
	if s.cfg.TokenStore == nil {
		return runner.Token{}, "", pipelines.Errorf(pipelines.CodeUnavailable, "this server keeps no sessions")
	}
	now := s.cfg.Now().UTC()
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	secret := randomText()
	t := runner.Token{ID: "session-" + hex.EncodeToString(id[:]), Role: who.Scope, RunID: who.RunID, Label: sessionOf(who.ID), SHA256: hashOf(secret), Created: now, Expires: now.Add(sessionTime)}
	if !who.Expires.IsZero() && who.Expires.Before(t.Expires) {
		t.Expires = who.Expires
	}
	if err := s.cfg.TokenStore.CreateToken(ctx, t); err != nil {
		return t, "", err
	}
	cookie := http.Cookie{Name: sessionCookie, Value: secret, Path: "/", Expires: t.Expires, MaxAge: int(t.Expires.Sub(now).Seconds()), HttpOnly: true, Secure: s.cfg.Secure, SameSite: http.SameSiteStrictMode}
	return t, cookie.String(), nil
}

func sessionOf(id string) string { return "session of " + id }

// redeem is who a secret stands for: a one-time code's user is the one who
// started the server.
func (s *Server) redeem(ctx context.Context, code, token string) (Token, error) {
	if code != "" {
		if !s.sessions.take(code, s.cfg.Now()) {
			return Token{}, unauthenticated("the one-time code was used already or is too old; the server prints a new one when it starts, and runner tokens makes tokens")
		}
		return Token{ID: "one-time code", Scope: ScopeAdmin}, nil
	}
	if token == "" {
		return Token{}, problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, "send a token, or the code of the one-time address")
	}
	return s.lookup(ctx, token)
}

// loginRoute takes the address that serve prints. The page that follows holds
// no secret: the code is used up.
func (s *Server) loginRoute() answer {
	a := answer{handler: s.loginPage, responses: map[string]*huma.Response{"303": {Description: "Logged in: the page, with the session's cookie"}}}
	a.params = []*huma.Param{{Name: "code", In: "query", Description: "of the one-time address", Schema: &huma.Schema{Type: huma.TypeString}}}
	return a
}

func (s *Server) loginPage(c *fiber.Ctx) error {
	if c.Method() == fiber.MethodHead {
		return nil // a preview uses no code up
	}
	who, err := s.redeem(c.UserContext(), c.Query("code"), "")
	if err != nil {
		return err
	}
	_, cookie, err := s.begin(c.UserContext(), who)
	if err != nil {
		return err
	}
	s.audit(c, who, http.StatusSeeOther)
	c.Set(fiber.HeaderSetCookie, cookie)
	return c.Redirect("/", http.StatusSeeOther)
}

type loginInput struct {
	Body struct {
		Token string `json:"token,omitempty" maxLength:"500"`
		Code  string `json:"code,omitempty" maxLength:"500" doc:"of the one-time address that serve printed"`
	}
}

// Session is what somebody may.
type Session struct {
	ID      string     `json:"id,omitempty" doc:"of the token or session; not there where none was sent"`
	Role    Scope      `json:"role,omitempty" enum:"admin,write,read,run-status"`
	RunID   string     `json:"run_id,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

type loginOutput struct {
	Cookie string `header:"Set-Cookie"`
	Body   Session
}

func (s *Server) login(ctx context.Context, in *loginInput) (*loginOutput, error) {
	who, err := s.redeem(ctx, in.Body.Code, in.Body.Token)
	if err != nil {
		return nil, err
	}
	t, cookie, err := s.begin(ctx, who)
	if err != nil {
		return nil, err
	}
	return &loginOutput{Cookie: cookie, Body: Session{ID: t.ID, Role: t.Role, RunID: t.RunID, Expires: when(t.Expires)}}, nil
}

type whoamiOutput struct{ Body Session }

func (s *Server) whoami(ctx context.Context, _ *struct{}) (*whoamiOutput, error) {
	t := tokenOf(ctx)
	return &whoamiOutput{Body: Session{ID: t.ID, Role: t.Scope, RunID: t.RunID, Expires: when(t.Expires)}}, nil
}

type logoutInput struct {
	Body *struct{} `required:"true" doc:"{}"`
}

// logout makes the asking session void; a token stays as it is.
func (s *Server) logout(ctx context.Context, _ *logoutInput) (*loginOutput, error) {
	t := tokenOf(ctx)
	if s.cfg.TokenStore != nil && t.ID != "" && len(t.ID) > 8 && t.ID[:8] == "session-" {
		if err := s.cfg.TokenStore.RevokeToken(ctx, t.ID, s.cfg.Now()); err != nil {
			return nil, err
		}
	}
	gone := http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.cfg.Secure, SameSite: http.SameSiteStrictMode}
	return &loginOutput{Cookie: gone.String()}, nil
}
