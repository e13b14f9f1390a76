package runner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trainwright/trainwright/runner"
)

// A plan of 500 trainings and their evaluations is made in about a second,
// and 40 steps that are done already are passed over as fast.
func TestPlanOfManySteps(t *testing.T) {
	h := newHouse(t)
	var steps []any
	for i := range 500 {
		s := train(fmt.Sprintf("s%d", i))
		s.spec.Train.Seed = int64(i)
		steps = append(steps, s, evaluate(fmt.Sprintf("e%d", i), s.spec.Address))
	}
	p := h.pipeline(steps...)
	start := time.Now()
	plan := h.plan(p, runner.PlanOptions{})
	took := time.Since(start)
	if len(plan.Steps) != 1000 || h.data.inspects != 1 {
		t.Errorf("%d steps, %d inspections", len(plan.Steps), h.data.inspects)
	}
	few := h.pipeline(steps[:40]...)
	h.mustApply(few)
	start = time.Now()
	if plan = h.plan(few, runner.PlanOptions{}); plan.Changes {
		t.Error("there are changes after the apply")
	}
	h.mustApply(few)
	t.Logf("plan of 1,000 steps %v, plan and apply of 40 done ones %v", took, time.Since(start))
	if took > 5*time.Second {
		t.Errorf("planning took %v", took)
	}
}
