package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// conclude evaluates checks and outputs with the results known at plan.
func (plan *Plan) conclude(ctx context.Context, pipe *pipelines.Pipeline, results pipelines.Results) error {
	var err error
	if plan.Checks, err = evaluateChecks(pipe.Checks, results); err != nil {
		return err
	}
	for _, o := range pipe.Outputs {
		value, unknown, err := o.Evaluate(results)
		if err != nil {
			return err
		}
		out := PlannedOutput{Name: o.Name, Sensitive: o.Sensitive, KnownAfter: unknown}
		if !o.Sensitive && len(unknown) == 0 {
			out.Value = finite(value)
		}
		plan.Outputs = append(plan.Outputs, out)
	}
	return nil
}

// judge collects what was found and says whether the plan can be applied.
func (plan *Plan) judge(decisions []decision) error {
	errs := unavailable(plan.source)
	var stops Problems
	for _, dec := range decisions { // each once for all steps that share it
		errs = addNew(errs, dec.problems)
		stops = addNew(stops, dec.gates)
	}
	plan.Problems = slices.Concat(errs, stops, plan.pinned(decisions))
	code := pipelines.CodeInvalid
	if len(errs.Errors()) == 0 {
		code = pipelines.CodeCheckFailed
	}
	err := plan.Problems.Err(code)
	plan.refused = err != nil
	return err
}

func addNew(to, found Problems) Problems {
	for _, p := range found {
		if !slices.Contains(to, p) {
			to = append(to, p)
		}
	}
	return to
}

// unavailable lists the blocks that this version checks and does not execute.
func unavailable(pipe *pipelines.Pipeline) Problems {
	var out Problems
	refuse := func(kind string, b pipelines.BackendConfig) {
		out = append(out, problem(b.Range, "Not available in this version",
			"The block %s %q is valid, and this version does not execute it. Remove it to plan this pipeline.", kind, b.Type))
	}
	for _, b := range pipe.Trackers {
		refuse("tracker", b)
	}
	for _, b := range pipe.Notifies {
		refuse("notify", b)
	}
	return out
}

// pinned tells where the lock file's pins differ from what would be used.
func (plan *Plan) pinned(decisions []decision) Problems {
	var out Problems
	now := pinsOf(decisions, plan.source.Dir, plan.decider.hasher)
	for _, name := range slices.Sorted(maps.Keys(now.Adapters)) {
		if was, ok := plan.lock.Adapters[name]; ok && was != now.Adapters[name] {
			out = append(out, warning(pipelines.Range{Filename: LockFileName}, "Pin differs",
				"Adapter %q is pinned as %s and is now %s. Apply pins it anew.", name, was, now.Adapters[name]))
		}
	}
	tell := func(what string, was, is map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(is)) {
			if old, ok := was[name]; ok && old != is[name] {
				out = append(out, warning(pipelines.Range{Filename: LockFileName}, "Pin differs",
					"%s %q is pinned as %s and is now %s. Apply pins it anew.", what, name, short(old), short(is[name])))
			}
		}
	}
	tell("Dataset", plan.lock.Datasets, now.Datasets)
	tell("Weights file", plan.lock.Weights, now.Weights)
	return out
}

func (p AdapterPin) String() string {
	s := fmt.Sprintf("version %s, numerics %d", p.Version, p.Numerics)
	if p.Lock != "" {
		s += ", requirements " + short(p.Lock)
	}
	return s
}

// short cuts a hash to what people compare.
func short(hash string) string {
	const n = len("sha256:") + 12
	if len(hash) > n {
		return hash[:n]
	}
	return hash
}
