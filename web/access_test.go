package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/web"
)

// rules is what was decided for each route. A route that is not here fails.
var rules = map[string]web.Access{
	"GET /":                                    web.Open,
	"GET /assets/{name}":                       web.Open,
	"GET /healthz":                             web.Open,
	"GET /readyz":                              web.Open,
	"GET /openapi.json":                        web.Open,
	"GET /metrics":                             web.Read,
	"GET /api/v1/status":                       web.Read,
	"GET /api/v1/runs":                         web.Read,
	"GET /api/v1/runs/{id}":                    web.Read,
	"GET /api/v1/runs/{id}/metrics":            web.Read,
	"GET /api/v1/runs/{id}/validation":         web.Read,
	"GET /api/v1/runs/{id}/logs":               web.Read,
	"GET /api/v1/runs/{id}/checkpoints":        web.Read,
	"GET /api/v1/runs/{id}/artifacts":          web.Read,
	"GET /api/v1/runs/{id}/checkpoints/{name}": web.Read,
	"GET /api/v1/runs/{id}/artifacts/{name}":   web.Read,
	"GET /api/v1/runs/{id}/picture":            web.Read,
	"GET /api/v1/runs/{id}/events":             web.Read,
	"GET /api/v1/ws":                           web.Read,
	"GET /models/list":                         web.Read,
	"GET /api/v1/models/list":                  web.Read,
	"GET /config/schema":                       web.Read,
	"GET /api/v1/training/config-schema":       web.Read,
	"GET /api/v1/adapters/{name}":              web.Read,
	"POST /api/v1/pipelines/apply":             web.Write,
	"GET /api/v1/applies":                      web.Read,
	"GET /api/v1/applies/{id}":                 web.Read,
	"GET /api/v1/applies/{id}/notices":         web.Read,
	"POST /api/v1/applies/{id}/stop":           web.Write,
	"POST /api/v1/applies/{id}/resume":         web.Write,
	"POST /api/v1/training/jobs":               web.Write,
	"POST /training/start":                     web.Write,
	"GET /api/v1/training/jobs":                web.Read,
	"GET /api/v1/training/jobs/{id}":           web.Read,
	"POST /api/v1/training/jobs/{id}/start":    web.Write,
	"POST /api/v1/training/jobs/{id}/resume":   web.Write,
	"POST /api/v1/internal/training/callback":  web.Write,
	"POST /api/v1/trainjobs/{id}/status":       web.Write,
	"POST /api/v1/store/{method}":              web.Write,
	"POST /api/v1/tasks/{method}":              web.Write,
	"POST /api/v1/training/jobs/{id}/stop":     web.Write,
	"GET /api/v1/datasets":                     web.Read,
	"POST /api/v1/pipelines/validate":          web.Ask,
	"POST /api/v1/pipelines/plan":              web.Write,
	"POST /api/v1/pipelines/save":              web.Write,
	"GET /login":                               web.Open,
	"GET /api/v1/login":                        web.Read,
	"POST /api/v1/login":                       web.Login,
	"POST /api/v1/logout":                      web.Ask,
	"GET /api/v1/tokens":                       web.Admin,
	"POST /api/v1/tokens":                      web.Admin,
	"DELETE /api/v1/tokens/{id}":               web.Admin,
	"POST /api/v1/pipelines/render":            web.Ask,
	"POST /api/v1/pipelines/assist":            web.Ask,
}

// TestAccess asks every route of the OpenAPI document with every kind of
// token, on loopback and where others can connect.
func TestAccess(t *testing.T) {
	for _, public := range []bool{false, true} {
		t.Run(fmt.Sprintf("public=%v", public), func(t *testing.T) {
			s := newSite(t, func(c *web.Config) { c.Public = public })
			_, body := s.request("GET", "/openapi.json", "", "")
			var doc struct {
				Paths map[string]map[string]struct {
					Access   web.Access       `json:"x-access"`
					Security []map[string]any `json:"security"`
				}
			}
			if err := json.Unmarshal(body, &doc); err != nil {
				t.Fatal(err)
			}
			secrets := s.secrets()
			found := 0
			for path, ops := range doc.Paths {
				for method, op := range ops {
					method = strings.ToUpper(method)
					found++
					rule, ok := rules[method+" "+path]
					if !ok || op.Access != rule {
						t.Errorf("%s %s: the document says %q, decided is %q", method, path, op.Access, rule)
						continue
					}
					if (len(op.Security) == 0) != (rule == web.Open || rule == web.Login) {
						t.Errorf("%s %s: security %v in the document", method, path, op.Security)
					}
					for name, secret := range secrets {
						want := wanted(rule, name, path, public)
						res, text := s.request(method, strings.ReplaceAll(path, "{id}", "done"), secret, "{}")
						refused := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
						own := rule == web.Login || path == "/login" || path == "/api/v1/pipelines/save" // their handlers refuse as well
						if want != 0 && res.StatusCode != want || want == 0 && !own && (refused || res.StatusCode >= 500 && res.StatusCode != 503) {
							t.Errorf("%s %s with token %s: %d %s, want %d", method, path, name, res.StatusCode, text, want)
						}
						if want == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
							t.Errorf("%s %s: 401 without WWW-Authenticate", method, path)
						}
					}
				}
			}
			if found != len(rules) || found != len(s.server.Routes()) {
				t.Errorf("%d routes in the document, %d decided, %d served", found, len(rules), len(s.server.Routes()))
			}
			if n := s.cancel.Load(); n != 0 {
				t.Errorf("%d runs were stopped", n)
			}
		})
	}
}

// wanted is the status with which a rule refuses a token; 0 = it does not.
func wanted(rule web.Access, token, path string, public bool) int {
	void := token == "wrong" || token == "expired" || token == "revoked"
	switch {
	case rule == web.Open || rule == web.Login:
		return 0
	case void, token == "none" && (rule != web.Read || public):
		return http.StatusUnauthorized
	case token == "run-status":
		if rule == web.Read && (strings.HasPrefix(path, "/api/v1/runs/{id}") || path == "/api/v1/login" || path == "/api/v1/ws") {
			return 0
		}
		return http.StatusForbidden
	case rule == web.Admin && token != "admin", rule == web.Write && token == "read":
		return http.StatusForbidden
	}
	return 0
}

// secrets makes a token of every kind.
func (s *site) secrets() map[string]string {
	s.t.Helper()
	out := map[string]string{"none": "", "wrong": "wrong-token-of-the-tests", "read": readToken, "write": writeToken}
	ctx := context.Background()
	for _, k := range []struct {
		name, run string
		role      web.Scope
		made      time.Time
		revoked   bool
	}{
		{"admin", "", web.ScopeAdmin, clock, false}, {"run-status", "done", web.ScopeRun, clock, false},
		{"expired", "", web.ScopeAdmin, clock.Add(-2 * time.Hour), false}, {"revoked", "", web.ScopeAdmin, clock, true},
	} {
		life := time.Hour
		t, secret, err := web.MakeToken(ctx, s.store, k.role, k.run, k.name, life, k.made)
		if err != nil {
			s.t.Fatal(err)
		}
		if k.revoked {
			if _, err := web.RevokeToken(ctx, s.store, t.ID, clock); err != nil {
				s.t.Fatal(err)
			}
		}
		out[k.name] = secret
	}
	return out
}

func TestAttacksOfPages(t *testing.T) {
	s := newSite(t, nil)
	const stop = "/api/v1/training/jobs/live/stop"
	for _, c := range []struct {
		name, method, path string
		headers            []string
		want               int
		code               string
	}{
		{"DNS rebinding reads", "GET", "/api/v1/status", []string{"Host", "evil.example"}, 421, "misdirected"},
		{"DNS rebinding by suffix", "GET", "/api/v1/status", []string{"Host", "127.0.0.1.evil.example"}, 421, "misdirected"},
		{"DNS rebinding by prefix", "GET", "/api/v1/status", []string{"Host", "evil-localhost"}, 421, "misdirected"},
		{"DNS rebinding writes", "POST", stop, []string{"Host", "evil.example"}, 421, "misdirected"},
		{"forwarded host is no host", "GET", "/api/v1/status", []string{"Host", "evil.example", "X-Forwarded-Host", "localhost"}, 421, "misdirected"},
		{"a proxy that nobody told of", "GET", "/api/v1/status", []string{"X-Forwarded-For", "192.0.2.1"}, 421, "misdirected"},
		{"origin of another site", "POST", stop, []string{"Origin", "http://evil.example"}, 403, "forbidden"},
		{"origin of another port", "POST", stop, []string{"Origin", "http://127.0.0.1:1"}, 403, "forbidden"},
		{"origin of a sandbox", "POST", stop, []string{"Origin", "null"}, 403, "forbidden"},
		{"fetch metadata", "POST", stop, []string{"Sec-Fetch-Site", "cross-site"}, 403, "forbidden"},
		{"fetch metadata of a sibling", "POST", stop, []string{"Sec-Fetch-Site", "same-site"}, 403, "forbidden"},
		{"a form", "POST", stop, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"text that is JSON", "POST", stop, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"DELETE is guarded too", "DELETE", "/api/v1/runs/live", []string{"Origin", "http://evil.example"}, 403, "forbidden"},
		{"localhost by name", "GET", "/api/v1/status", []string{"Host", "localhost:8000"}, 200, ""},
		{"own origin", "POST", stop, []string{"Origin", "http://" + s.addr, "Sec-Fetch-Site", "same-origin"}, 200, ""},
	} {
		res, body := s.request(c.method, c.path, writeToken, "{}", c.headers...)
		if res.StatusCode != c.want || c.code != "" && !strings.Contains(string(body), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %s, want %d %s", c.name, res.StatusCode, body, c.want, c.code)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read the answer", c.name)
		}
	}
	if n := s.cancel.Load(); n != 1 {
		t.Errorf("%d runs were stopped, want the one that its owner stopped", n)
	}
}

// TestHeadersOfEveryAnswer asks for things that work and things that do not.
func TestHeadersOfEveryAnswer(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/healthz", "/metrics", "/api/v1/status", "/api/v1/runs/none", "/nowhere", "/api/v1/runs?limit=x"} {
		res, _ := s.request("GET", path, "", "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q", path, name, got)
			}
		}
	}
}

// TestMalformedRequests sends what no client library does.
func TestMalformedRequests(t *testing.T) {
	s := newSite(t, nil)
	for _, c := range []struct{ name, request, want string }{
		{"bad escape", "GET /api/v1/runs/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404"},
		{"absolute", "GET http://[bad/api/v1/runs?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400"},
		{"control", "GET /api/v1/runs?limit=\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 4"},
		{"colon, read as the page", "GET :// HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200"},
		{"bad escape in the query", "GET /api/v1/runs?limit=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 422"},
		{"no host", "GET /api/v1/status HTTP/1.1\r\nHost:\r\n\r\n", "HTTP/1.1 421"},
		{"huge header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		{"huge body", "POST /api/v1/training/jobs/live/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413"},
		{"no method", "BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 4"},
	} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write([]byte(c.request)) // the server may close first
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, c.want) {
			t.Errorf("%s: %q, %v; want %s", c.name, line, err, c.want)
		}
		conn.Close()
	}
	if res, _ := s.request("GET", "/healthz", "", ""); res.StatusCode != 200 {
		t.Error("the server did not survive")
	}
}
