package runner

import (
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// Severity of a Problem.
type Severity string

const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is a finding with its place in the sources, so that views can print
// it like a diagnostic of the language.
type Problem struct {
	Severity Severity          `json:"severity"`
	Summary  string            `json:"summary"` // fixed text
	Detail   string            `json:"detail"`  // what, why, how to fix
	Address  pipelines.Address `json:"address,omitempty"`
	Range    pipelines.Range   `json:"range,omitzero"`
}

func (p Problem) String() string {
	s := p.Summary + ": " + p.Detail
	if !p.Range.IsZero() {
		s = p.Range.String() + ": " + s
	}
	return s
}

// Problems is an error made of findings; errors.As finds it in what Plan and
// Apply return.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Errors returns those that are errors.
func (ps Problems) Errors() Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == SeverityError {
			out = append(out, p)
		}
	}
	return out
}

// Err returns the errors among ps as one error of that code, or nil.
func (ps Problems) Err(code pipelines.Code) error {
	errs := ps.Errors()
	if len(errs) == 0 {
		return nil
	}
	return &pipelines.Error{Code: code, Message: errs.Error(), Err: errs}
}

func warning(r pipelines.Range, summary, format string, args ...any) Problem {
	return Problem{Severity: SeverityWarning, Summary: summary, Detail: fmt.Sprintf(format, args...), Range: r}
}

func problem(r pipelines.Range, summary, format string, args ...any) Problem {
	return Problem{Severity: SeverityError, Summary: summary, Detail: fmt.Sprintf(format, args...), Range: r}
}
