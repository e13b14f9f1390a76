package runner

import (
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// selects reports whether a target names the address, or the block of which
// it is an instance.
func selects(target string, a pipelines.Address) bool {
	return string(a) == target || strings.HasPrefix(string(a), target+"[")
}

// selectSteps returns the steps that targets name and what they need, in
// plan order; all of them without targets.
func selectSteps(pipe *pipelines.Pipeline, targets []string) ([]pipelines.Step, error) {
	if len(targets) == 0 {
		return pipe.Steps, nil
	}
	wanted := map[pipelines.Address]bool{}
	for _, t := range targets {
		found := false
		for _, s := range pipe.Steps {
			if selects(t, s.Address) {
				wanted[s.Address], found = true, true
			}
		}
		if !found {
			return nil, noStep(pipe, t)
		}
	}
	// Steps follow what they need, so that one sweep from the end is enough.
	for i := len(pipe.Steps) - 1; i >= 0; i-- {
		if wanted[pipe.Steps[i].Address] {
			for _, n := range pipe.Steps[i].Needs {
				wanted[n] = true
			}
		}
	}
	var out []pipelines.Step
	for _, s := range pipe.Steps {
		if wanted[s.Address] {
			out = append(out, s)
		}
	}
	return out, nil
}

func noStep(pipe *pipelines.Pipeline, name string) error {
	var have []string
	for _, s := range pipe.Steps {
		have = append(have, string(s.Address))
	}
	return pipelines.Errorf(pipelines.CodeInvalid, "pipeline %q has no step %s; its steps are: %s", pipe.Name, name, someOf(have, 20))
}

func someOf(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

// moved returns the address at which an address's state may still stand, by
// the pipeline's moved blocks, nearest first.
func moved(pipe *pipelines.Pipeline, a pipelines.Address) []pipelines.Address {
	var out []pipelines.Address
	seen := map[pipelines.Address]bool{a: true}
	for {
		var from pipelines.Address
		for _, m := range pipe.Moved {
			if selects(string(m.To), a) {
				from = m.From + a[len(m.To):]
			}
		}
		if from == "" || seen[from] {
			return out
		}
		seen[from] = true
		out = append(out, from)
		a = from
	}
}
