package runner_test

import (
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func TestTwoSourcesOfOneName(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"))
	h.Claim = runner.Claim{Source: "folder /one", State: "/state.db"}
	mine := h.plan(p, runner.PlanOptions{})
	h.mustApply(p)
	h.mustApply(p)

	h.Claim.Source = "folder /two"
	_, err := h.Plan(t.Context(), p, runner.PlanOptions{})
	wantCode(t, err, pipelines.CodeConflict)
	for _, part := range []string{"/state.db", `"flowers"`, "/one", "/two", "--store", "--source-moved"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not tell %s: %v", part, err)
		}
	}
	_, err = h.Apply(t.Context(), mine, runner.ApplyOptions{})
	wantCode(t, err, pipelines.CodeConflict)

	h.Claim.Moved = true
	if o := h.mustApply(p).Steps[0]; o.Action != runner.ActionReuse {
		t.Errorf("after a move: %s, want what the old place made", o.Action)
	}
	h.Claim = runner.Claim{Source: "folder /one"}
	_, err = h.Plan(t.Context(), p, runner.PlanOptions{})
	wantCode(t, err, pipelines.CodeConflict)
}
