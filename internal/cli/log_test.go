package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestLogHidesSecrets(t *testing.T) {
	for _, level := range []string{"debug", "debug.json"} {
		r := &redactor{}
		r.add("canary-123", 4)
		var b bytes.Buffer
		log := newLogger(&b, level, r)
		log.Debug("request", "url", "https://x/?key=canary-123", "token", "tk-9", "error", usagef("denied: canary-123"))
		if s := b.String(); strings.Contains(s, "canary") || strings.Contains(s, "tk-9") || strings.Count(s, "(sensitive)") != 3 {
			t.Errorf("%s wrote %s", level, s)
		}
	}
}

func TestLogIsQuietUnlessAsked(t *testing.T) {
	var b bytes.Buffer
	newLogger(&b, "", &redactor{}).Warn("x")
	if b.Len() > 0 {
		t.Errorf("wrote %s", b.String())
	}
}
