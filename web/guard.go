package web

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// Access is who may use a route.
type Access string

const (
	// Open to everybody who can connect: it tells nothing.
	Open Access = "open"
	// Read is open on loopback, and needs a read token where others can connect.
	Read Access = "read"
	// Ask always needs a token, which may be one that only reads: it changes
	// nothing and makes the server work.
	Ask Access = "ask"
	// Write always needs a write token.
	Write Access = "write"
	// Admin always needs an admin token.
	Admin Access = "admin"
	// Login is open to everybody who knows a secret that the body carries.
	Login Access = "login"
)

// mutates reports that a page of another site must not ask for it.
func (a Access) mutates() bool { return a == Ask || a == Write || a == Admin || a == Login }

// secure sets the headers of every response. Nothing here is meant to be shown
// as a page, framed, or guessed to be another type.
func secure(c *fiber.Ctx) {
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderCacheControl, "no-store")
}

// guard is passed by every request before its route is looked for.
func (s *Server) guard(c *fiber.Ctx) error {
	secure(c)
	if _, err := url.ParseRequestURI(string(c.Request().RequestURI())); err != nil {
		return problem(http.StatusBadRequest, pipelines.CodeInvalid, "the request's path is not a URL")
	}
	if err := s.checkHost(c); err != nil {
		return err
	}
	if m := c.Method(); m != fiber.MethodGet && m != fiber.MethodHead && m != fiber.MethodOptions {
		if err := s.checkOrigin(c); err != nil {
			s.audit(c, Token{}, problemStatus(err))
			return err
		}
	}
	return c.Next()
}

// checkHost refuses names that are not ours: a page of another site whose name
// was made to resolve to this machine could read otherwise (DNS rebinding).
func (s *Server) checkHost(c *fiber.Ctx) error {
	if s.cfg.Public && len(s.cfg.Hosts) == 0 {
		return nil // tokens guard everything
	}
	for _, name := range []string{fiber.HeaderXForwardedFor, fiber.HeaderXForwardedHost, fiber.HeaderForwarded, fiber.HeaderVia} {
		if !s.cfg.Public && c.Get(name) != "" {
			return problem(http.StatusMisdirectedRequest, codeMisdirected, "this request came through a proxy, and reading is open here for users of this machine; start the server with --trusted-proxy")
		}
	}
	host := hostName(c.Get(fiber.HeaderHost))
	if !loopback(host) && !slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return problem(http.StatusMisdirectedRequest, codeMisdirected, "this server does not answer to that Host; name it with --allowed-host if it is yours")
	}
	return nil
}

// checkOrigin refuses changes that a page of another site asks for.
func (s *Server) checkOrigin(c *fiber.Ctx) error {
	foreign := problem(http.StatusForbidden, codeForbidden, "requests that change something may not come from a page of another site")
	switch c.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return foreign
	}
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return nil // no browser
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, c.Get(fiber.HeaderHost)) {
		return foreign
	}
	return nil
}

// hostName is a Host header without its port and brackets.
func hostName(h string) string {
	if name, _, err := net.SplitHostPort(h); err == nil {
		return name
	}
	return strings.Trim(h, "[]")
}
