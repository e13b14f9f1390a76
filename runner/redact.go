package runner

import (
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// OwnSecret reports that an environment variable is the runner's own: a token,
// a store's address (it may hold a password), a variable's value. No step and no
// process that works for others inherits it.
func OwnSecret(name string) bool {
	return strings.HasPrefix(name, "RUNNER_VAR_") || strings.HasSuffix(name, "_SERVICE_TOKEN") || strings.HasPrefix(name, "RUNNER_") && strings.HasSuffix(name, "TOKEN") ||
		strings.HasPrefix(name, "RUNNER_BUCKET_") || name == "RUNNER_STORE" || name == "DATABASE_URL"
}

// Redactor keeps secrets out of what is told of a step. Executors use it on
// events and on their own messages.
type Redactor struct{ r *strings.Replacer }

// NewRedactor blanks the values of secrets; empty ones are left alone.
func NewRedactor(secrets map[string]pipelines.Secret) Redactor {
	var pairs []string
	for _, s := range secrets {
		if v := s.Reveal(); v != "" {
			pairs = append(pairs, v, s.String())
		}
	}
	return Redactor{strings.NewReplacer(pairs...)}
}

// Text blanks secrets in a text.
func (r Redactor) Text(s string) string { return r.r.Replace(s) }

// Events blanks secrets in the texts of events, in place.
func (r Redactor) Events(events []pipelines.Event) {
	for i := range events {
		switch e := &events[i]; {
		case e.Result != nil:
			e.Result.Error = r.Text(e.Result.Error)
		case e.Message != nil:
			e.Message.Text = r.Text(e.Message.Text)
		case e.Status != nil:
			e.Status.Error = r.Text(e.Status.Error)
		}
	}
}
