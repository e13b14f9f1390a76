package web_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/web"
)

// noRedirect keeps what the login address answers.
func (s *site) noRedirect() {
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

func TestTheOneTimeAddressLogsInOnce(t *testing.T) {
	var audit bytes.Buffer
	s := newSite(t, func(c *web.Config) { c.Audit = &audit })
	s.noRedirect()
	path := s.server.LoginPath()
	if res, _ := s.request("HEAD", path, "", ""); res.Header.Get("Set-Cookie") != "" {
		t.Error("a preview logged in")
	}
	res, _ := s.request("GET", path, "", "")
	cookie := res.Header.Get("Set-Cookie")
	if res.StatusCode != 303 || res.Header.Get("Location") != "/" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || !strings.Contains(cookie, "Max-Age=43200") {
		t.Fatalf("%d, cookie %q", res.StatusCode, cookie)
	}
	if res, _ := s.request("GET", path, "", ""); res.StatusCode != 401 {
		t.Errorf("a second time: %d", res.StatusCode)
	}
	session, _, _ := strings.Cut(cookie, ";")
	origin := []string{"Cookie", session, "Origin", "http://" + s.addr}
	var who web.Session
	_, body := s.request("GET", "/api/v1/login", "", "", "Cookie", session)
	if err := json.Unmarshal(body, &who); err != nil || who.Role != web.ScopeAdmin {
		t.Errorf("who: %s", body)
	}
	const stop = "/api/v1/training/jobs/live/stop"
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"no origin":       {[]string{"Cookie", session}, 403},
		"foreign origin":  {[]string{"Cookie", session, "Origin", "http://evil.example"}, 403},
		"foreign sibling": {[]string{"Cookie", session, "Sec-Fetch-Site", "same-site"}, 403},
		"a form":          {append([]string{"Content-Type", "text/plain"}, origin...), 415},
		"other cookie":    {[]string{"Cookie", "runner_session=x", "Origin", "http://" + s.addr}, 401},
	} {
		if res, body := s.request("POST", stop, "", "{}", c.headers...); res.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	if n := s.cancel.Load(); n != 0 {
		t.Errorf("%d runs were stopped", n)
	}
	if res, body := s.request("POST", stop, "", "{}", origin...); res.StatusCode != 200 {
		t.Errorf("own page: %d %s", res.StatusCode, body)
	}
	if res, _ := s.request("GET", "/api/v1/status", "", "", "Cookie", "runner_session=old"); res.StatusCode != 200 {
		t.Errorf("reading with a session that is over: %d", res.StatusCode)
	}
	if res, _ := s.request("POST", "/api/v1/logout", "", "{}", origin...); res.StatusCode != 200 || !strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %d %s", res.StatusCode, res.Header.Get("Set-Cookie"))
	}
	if res, _ := s.request("POST", stop, "", "{}", origin...); res.StatusCode != 401 {
		t.Errorf("after logging out: %d", res.StatusCode)
	}
	lines := strings.Split(strings.TrimSpace(audit.String()), "\n")
	if len(lines) < 8 || !strings.Contains(audit.String(), `"by":"one-time code"`) || !strings.Contains(audit.String(), `"status":403`) || !strings.Contains(audit.String(), `"by":"session-`) {
		t.Errorf("audit:\n%s", audit.String())
	}
	secret := strings.TrimPrefix(session, "runner_session=")
	if strings.Contains(audit.String(), secret) || strings.Contains(audit.String(), strings.TrimPrefix(path, "/login?code=")) {
		t.Error("the audit log holds a secret")
	}
}

// TestTokensOverHTTP makes tokens, uses them, and plants them as secrets that
// no answer may show.
func TestTokensOverHTTP(t *testing.T) {
	s := newSite(t, nil)
	admin := s.secrets()["admin"]
	make := func(body string) (web.NewTokenAnswer, *http.Response) {
		t.Helper()
		res, text := s.request("POST", "/api/v1/tokens", admin, body)
		var out web.NewTokenAnswer
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		return out, res
	}
	write, _ := make(`{"role": "write", "label": "ci"}`)
	if res, body := s.request("GET", "/api/v1/runs", write.Secret, ""); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for _, bad := range []string{`{"role": "owner"}`, `{"role": "run-status"}`, `{"role": "read", "run_id": "done"}`, `{}`} {
		if _, res := make(bad); res.StatusCode != 422 {
			t.Errorf("%s: %d", bad, res.StatusCode)
		}
	}
	one, _ := make(`{"role": "run-status", "run_id": "1"}`)
	if one.RunID != "done" || one.Expires == nil {
		t.Errorf("run-status: %+v", one.TokenInfo)
	}
	for path, want := range map[string]int{"/api/v1/runs/done": 200, "/api/v1/runs/1/metrics": 200, "/api/v1/runs/live": 403, "/api/v1/runs/none": 403, "/api/v1/runs": 403, "/metrics": 403} {
		if res, _ := s.request("GET", path, one.Secret, ""); res.StatusCode != want {
			t.Errorf("run-status at %s: %d, want %d", path, res.StatusCode, want)
		}
	}
	login := func(token string) (string, int) {
		res, _ := s.request("POST", "/api/v1/login", "", `{"token": "`+token+`"}`)
		session, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
		return session, res.StatusCode
	}
	if _, status := login("nonsense-nonsense-nonsense"); status != 401 {
		t.Errorf("login with a wrong token: %d", status)
	}
	session, status := login(write.Secret)
	if status != 200 {
		t.Fatalf("login: %d", status)
	}
	planted := []string{admin, write.Secret, one.Secret, strings.TrimPrefix(session, "runner_session="), readToken, writeToken}
	for _, r := range s.server.Routes() {
		for _, token := range []string{"", admin, write.Secret} {
			if strings.Contains(r.Path, "/stop") || r.Method == "DELETE" {
				continue
			}
			_, body := s.request(r.Method, strings.ReplaceAll(r.Path, "{id}", "done"), token, `{"token": "`+write.Secret+`"}`)
			for _, secret := range planted {
				if bytes.Contains(body, []byte(secret)) {
					t.Errorf("%s %s tells a secret: %s", r.Method, r.Path, body)
				}
			}
		}
	}
	if res, _ := s.request("DELETE", "/api/v1/tokens/"+write.ID, admin, ""); res.StatusCode != 200 {
		t.Errorf("revoke: %d", res.StatusCode)
	}
	if res, body := s.request("GET", "/api/v1/runs", write.Secret, ""); res.StatusCode != 401 || !strings.Contains(string(body), "revoked") {
		t.Errorf("a revoked token: %d %s", res.StatusCode, body)
	}
	if _, body := s.request("GET", "/api/v1/login", "", "", "Cookie", session); strings.Contains(string(body), "role") {
		t.Errorf("the session of a revoked token lives: %s", body)
	}
}
