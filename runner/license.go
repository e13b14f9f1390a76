package runner

import (
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// licenses returns those of a step's adapter and model, for the plan to print.
func licenses(spec pipelines.Spec, a adapters.Adapter) []string {
	var out []string
	add := func(l string) {
		if l != "" && (len(out) == 0 || !strings.EqualFold(out[0], l)) {
			out = append(out, l)
		}
	}
	if a != nil {
		add(a.Info().License)
	}
	if spec.Model == nil {
		return out
	}
	if spec.Model.License != "" {
		add(spec.Model.License)
	} else if a != nil {
		for _, m := range a.Models(spec.Task) {
			if m.ModelName == spec.Model.Name {
				add(m.License)
			}
		}
	}
	return out
}

// forbidden finds licenses that the policy refuses. "AGPL-3.0" refuses
// AGPL-3.0-only and AGPL-3.0-or-later too.
func forbidden(policy pipelines.Policy, step pipelines.Step, found []string) Problems {
	var out Problems
	for _, l := range found {
		for _, f := range policy.ForbidLicenses {
			if strings.EqualFold(l, f) || strings.HasPrefix(strings.ToLower(l), strings.ToLower(f)+"-") {
				out = append(out, problem(step.Range, "Forbidden license",
					"%s uses adapter %q and model %q under %s, which policy { forbid_licenses } at %s refuses.",
					step.Address, step.Adapter, step.Model, l, policy.Range))
			}
		}
	}
	return out
}
