package hclspec_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

var update = flag.Bool("update", false, "rewrite testdata/valid/*.json")

// decodedStep is a step as the golden files hold it.
type decodedStep struct {
	Address  pipelines.Address
	Needs    []pipelines.Address `json:",omitempty"`
	Executor pipelines.Address   `json:",omitempty"`
	Retry    *pipelines.Retry    `json:",omitempty"`
	Timeout  string              `json:",omitempty"`
	OnChange pipelines.OnChange  `json:",omitempty"`
	Spec     pipelines.Spec
	Secrets  map[string]pipelines.Secret `json:",omitempty"`
}

// TestGoldens compares every valid fixture, decoded without results, with the
// JSON file beside it.
func TestGoldens(t *testing.T) {
	paths, _ := filepath.Glob("testdata/valid/*.hcl")
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			p, _, diags := hclspec.Load(t.Context(), path, validateOptions())
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			got, err := json.MarshalIndent(describe(t, p), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(got), p.Dir, "DIR") + "\n"
			golden := strings.TrimSuffix(path, ".hcl") + ".json"
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != text {
				t.Errorf("%s differs (%v); run go test ./hclspec -update and look at the difference", golden, err)
			}
		})
	}
}

func describe(t *testing.T, p *pipelines.Pipeline) map[string]any {
	var steps []decodedStep
	for _, s := range p.Steps {
		spec, err := s.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		d := decodedStep{Address: s.Address, Needs: s.Needs, Executor: s.Executor, OnChange: s.OnChange, Spec: spec, Secrets: spec.SecretEnv}
		if s.Timeout > 0 {
			d.Timeout = s.Timeout.String()
		}
		if s.Retry.Attempts > 0 {
			d.Retry = &s.Retry
		}
		steps = append(steps, d)
	}
	var checks, outputs []string
	for _, c := range p.Checks {
		checks = append(checks, string(c.Address))
	}
	for _, o := range p.Outputs {
		outputs = append(outputs, o.Name)
	}
	executors := map[pipelines.Address]map[string]any{}
	for a, e := range p.Executors {
		executors[a] = e.Attributes
	}
	moved := map[pipelines.Address]pipelines.Address{}
	for _, m := range p.Moved {
		moved[m.From] = m.To
	}
	return map[string]any{
		"name": p.Name, "description": p.Description, "store": p.Store, "variables": p.Variables, "steps": steps,
		"checks": checks, "outputs": outputs, "executors": executors, "moved": moved, "policy": p.Policy.ForbidLicenses,
		"artifacts": p.Artifacts, "trackers": p.Trackers, "notifies": p.Notifies,
	}
}
