package runner

import (
	"encoding/json"
	"time"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// PlanVersion is the version of a plan's JSON (`plan --json`, `show --json`).
const PlanVersion = 1

// Plan is what apply would do, and why. Its JSON is stable; what apply needs
// besides (closures of the pipeline, secrets) is not in it.
type Plan struct {
	Version  int              `json:"v"`
	Pipeline string           `json:"pipeline"`
	Created  time.Time        `json:"created"`
	Serial   int64            `json:"serial"` // of the state it was made at
	Changes  bool             `json:"changes"`
	Targets  []string         `json:"targets,omitempty"`
	Replace  []string         `json:"replace,omitempty"`
	Steps    []PlannedStep    `json:"steps"` // every step follows those it needs
	Datasets []PlannedDataset `json:"datasets,omitempty"`
	Checks   []PlannedCheck   `json:"checks,omitempty"`
	Outputs  []PlannedOutput  `json:"outputs,omitempty"`
	Moves    []PlannedMove    `json:"moves,omitempty"`
	Problems Problems         `json:"problems,omitempty"`  // warnings; errors too when Plan returned one
	LockHash string           `json:"lock_hash,omitempty"` // of .runner.lock.hcl as read; "" = none

	source  *pipelines.Pipeline
	steps   []pipelines.Step // those selected by Targets
	lock    LockFile
	decider *decider
	refused bool // Plan returned an error besides it
}

// PlannedStep is one step instance of a plan.
type PlannedStep struct {
	Address  pipelines.Address   `json:"address"`
	Kind     pipelines.Kind      `json:"kind"`
	Needs    []pipelines.Address `json:"needs,omitempty"`
	Action   Action              `json:"action"`
	Reason   string              `json:"reason"` // one sentence
	Adapter  string              `json:"adapter,omitempty"`
	Model    string              `json:"model,omitempty"`
	TaskType string              `json:"task,omitempty"`
	Dataset  string              `json:"dataset,omitempty"`  // name of a PlannedDataset
	Executor pipelines.Address   `json:"executor,omitempty"` // "" = local
	// Placement says in a line what the step asks its cluster for; "" = local.
	Placement string `json:"placement,omitempty"`
	Device    string `json:"device,omitempty"`  // class: cpu | cuda
	License   string `json:"license,omitempty"` // of adapter and model, "Apache-2.0, MIT"

	ContentKey string `json:"content_key,omitempty"` // "" while something is unknown
	RunID      string `json:"run_id,omitempty"`      // run that is reused or continued
	Attempt    int    `json:"attempt,omitempty"`     // number of the attempt that comes next
	Previous   string `json:"previous,omitempty"`    // run that Changes compares with

	Changes    []Change              `json:"changes,omitempty"`
	KnownAfter []KnownAfter          `json:"known_after,omitempty"`
	Settings   []SettingNote         `json:"settings,omitempty"` // inactive, derived and replaced ones
	Notes      []string              `json:"notes,omitempty"`    // what the executor has to say
	Start      *pipelines.Checkpoint `json:"start,omitempty"`    // checkpoint that training goes on from
	Keep       []string              `json:"keep,omitempty"`     // fields whose checkpoint value stays
	Reset      []string              `json:"reset,omitempty"`    // fields whose state is dropped
	Inputs     json.RawMessage       `json:"inputs,omitempty"`   // of the content key, flat field -> value
	Effective  map[string]any        `json:"effective_config,omitempty"`
}

// Change is one input of a content key that differs from the last run's.
type Change struct {
	Field  string          `json:"field"` // "epochs", "config.optimizer.type", "dataset.fingerprint"
	Old    any             `json:"old"`   // nil = was not set
	New    any             `json:"new"`   // nil = is not set any more
	Resume schema.Resume   `json:"resume"`
	Effect string          `json:"effect,omitempty"` // in words, on a resume: "counts from epoch 11"
	Range  pipelines.Range `json:"range,omitzero"`   // where the new value was written
}

// KnownAfter is a field whose value waits for other steps.
type KnownAfter struct {
	Field string              `json:"field"`
	Steps []pipelines.Address `json:"steps"`
}

// SettingNote is a config field about which there is something to say.
type SettingNote struct {
	Field  string           `json:"field"`
	Value  any              `json:"value"`
	Origin pipelines.Origin `json:"origin"`
	Kind   string           `json:"kind"` // inactive | derived | replaced
	Note   string           `json:"note"` // "optimizer.type is \"adam\"", "follows epochs", "replaces 0.1"
	Range  pipelines.Range  `json:"range,omitzero"`
}

// PlannedDataset is a dataset as inspected, once for all steps that use it.
type PlannedDataset struct {
	Name   string                  `json:"name"`
	Report pipelines.DatasetReport `json:"report"`
	// Previous is the fingerprint that the lock file pins; "" = none.
	Previous string          `json:"previous,omitempty"`
	Range    pipelines.Range `json:"range,omitzero"`
}

// PlannedCheck is a check as far as results are known.
type PlannedCheck struct {
	Address    pipelines.Address   `json:"address"`
	State      CheckState          `json:"state"`
	Message    string              `json:"message,omitempty"`
	Values     []pipelines.Operand `json:"values,omitempty"`
	KnownAfter []pipelines.Address `json:"known_after,omitempty"`
	Range      pipelines.Range     `json:"range"`
}

// CheckState is the outcome of a check.
type CheckState string

const (
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"
	CheckUnknown CheckState = "unknown" // waits for results
)

// PlannedOutput is an output as far as results are known.
type PlannedOutput struct {
	Name       string              `json:"name"`
	Value      any                 `json:"value,omitempty"` // nil when sensitive or unknown
	Sensitive  bool                `json:"sensitive,omitempty"`
	KnownAfter []pipelines.Address `json:"known_after,omitempty"`
}

// PlannedMove renames the state of one step instance.
type PlannedMove struct {
	From pipelines.Address `json:"from"`
	To   pipelines.Address `json:"to"`
}

// Step returns the planned step of that address.
func (p *Plan) Step(a pipelines.Address) (PlannedStep, bool) {
	for _, s := range p.Steps {
		if s.Address == a {
			return s, true
		}
	}
	return PlannedStep{}, false
}

// Count returns how many steps have each action.
func (p *Plan) Count() map[Action]int {
	n := map[Action]int{}
	for _, s := range p.Steps {
		n[s.Action]++
	}
	return n
}

// Source is the pipeline that was planned.
func (p *Plan) Source() *pipelines.Pipeline { return p.source }
