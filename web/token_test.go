package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

func TestTokensAreMadeOnceAndKeptAsHashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	first, made, err := LoadTokens(path, false, time.Now())
	if err != nil || len(made) != 2 {
		t.Fatal(err, made)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for scope, secret := range made {
		if strings.Contains(string(text), secret) {
			t.Errorf("the file holds the %s token itself", scope)
		}
		if got, ok := first.find(secret); !ok || got.Scope != scope {
			t.Errorf("token of scope %s is found as %+v, %v", scope, got, ok)
		}
	}
	again, remade, err := LoadTokens(path, false, time.Now())
	if err != nil || remade != nil || len(again) != 2 || again[0].SHA256 != first[0].SHA256 {
		t.Errorf("a second start: %+v, %v, %v", again, remade, err)
	}
	renewed, remade, err := LoadTokens(path, true, time.Now())
	if _, ok := renewed.find(made[ScopeWrite]); err != nil || ok || len(remade) != 2 {
		t.Errorf("renewed: the old token is still taken (%v), %v", ok, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadTokens(path, false, time.Now()); pipelines.CodeOf(err) != pipelines.CodeInvalid {
		t.Errorf("a file that others can open: %v", err)
	}
}

func TestGivenTokenIsLongEnough(t *testing.T) {
	if _, err := GivenToken("RUNNER_TOKEN", ScopeWrite, "short"); pipelines.CodeOf(err) != pipelines.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func TestBind(t *testing.T) {
	for _, c := range []struct {
		addr       string
		tls, proxy bool
		public, ok bool
	}{
		{"127.0.0.1:8000", false, false, false, true},
		{"[::1]:8000", false, false, false, true},
		{"localhost:0", false, false, false, true},
		{"127.0.0.1:8000", false, true, true, true},
		{"0.0.0.0:8000", false, false, true, false},
		{":8000", false, false, true, false},
		{"192.168.1.2:8000", false, false, true, false},
		{"example.com:8000", false, false, true, false},
		{"0.0.0.0:8000", true, false, true, true},
		{"0.0.0.0:8000", false, true, true, true},
		{"8000", false, false, false, false},
	} {
		public, err := Bind(c.addr, c.tls, c.proxy)
		if (err == nil) != c.ok || c.ok && public != c.public {
			t.Errorf("%+v: public %v, %v", c, public, err)
		}
	}
}
