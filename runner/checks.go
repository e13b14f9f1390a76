package runner

import (
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// evaluateChecks evaluates every check as far as results are known.
func evaluateChecks(checks []pipelines.Check, results pipelines.Results) ([]PlannedCheck, error) {
	var out []PlannedCheck
	for _, c := range checks {
		r, err := c.Evaluate(results)
		if err != nil {
			return out, err
		}
		pc := PlannedCheck{Address: c.Address, State: CheckPassed, Range: c.Range, Values: r.Values}
		switch {
		case len(r.Unknown) > 0:
			pc.State, pc.KnownAfter = CheckUnknown, r.Unknown
		case !r.OK:
			pc.State, pc.Message = CheckFailed, r.Message
		}
		out = append(out, pc)
	}
	return out, nil
}

// checkProblems makes a problem of every failed check.
func checkProblems(checks []PlannedCheck) Problems {
	var out Problems
	for _, c := range checks {
		if c.State == CheckFailed {
			p := problem(c.Range, "Check failed", "%s: %s%s", c.Address, c.Message, operands(c.Values))
			p.Address = c.Address
			out = append(out, p)
		}
	}
	return out
}

// operands tells the values that a condition was evaluated with.
func operands(values []pipelines.Operand) string {
	if len(values) == 0 {
		return ""
	}
	var parts []string
	for _, v := range values {
		parts = append(parts, fmt.Sprintf("%s is %s", v.Expr, v.Value))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
