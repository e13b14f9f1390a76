package cli

import (
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// redactor replaces secret values wherever they would be written.
type redactor struct {
	mu     sync.RWMutex
	values []string
}

// add remembers a value that must never be printed. Values shorter than least
// are left alone: replacing them would mangle everything and hide nothing.
func (r *redactor) add(value string, least int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(value) >= least && !slices.Contains(r.values, value) {
		r.values = append(r.values, value)
	}
}

// hide returns s without any remembered secret.
func (r *redactor) hide(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, "(sensitive)")
	}
	return s
}

var secretKey = regexp.MustCompile(`(?i)token|password|secret|authorization|credential`)

// newLogger logs to w at the level named by RUNNER_LOG (debug, info, warn,
// error); unset means errors only. A ".json" suffix (debug.json) logs JSON.
func newLogger(w io.Writer, level string, r *redactor) *slog.Logger {
	level, asJSON := strings.CutSuffix(strings.ToLower(level), ".json")
	var l slog.Level
	if level == "trace" {
		level = "debug"
	}
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: func(_ []string, at slog.Attr) slog.Attr {
		if secretKey.MatchString(at.Key) {
			return slog.String(at.Key, "(sensitive)")
		}
		switch at.Value.Kind() {
		case slog.KindString, slog.KindAny:
			if s := at.Value.String(); r.hide(s) != s {
				return slog.String(at.Key, r.hide(s))
			}
		}
		return at
	}}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
