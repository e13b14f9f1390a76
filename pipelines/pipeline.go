package pipelines

import "time"

// Pipeline is one folder of HCL, decoded: its steps with matrix and for_each
// expanded, in an order in which every step follows the steps that it needs.
type Pipeline struct {
	Name        string
	Description string
	Dir         string // folder that relative paths are resolved against
	Store       string // pipeline { store }; "" = .runner/ beside the sources
	Sources     []Source
	Variables   map[string]Variable

	Steps     []Step // train, evaluate, export, step
	Checks    []Check
	Outputs   []Output
	Adapters  []AdapterConfig            // adapter "NAME" { … }: the user's own
	Executors map[Address]ExecutorConfig // "executor.dagger.gpu"
	Artifacts *BackendConfig             // artifacts "s3" { … }
	Trackers  []BackendConfig
	Notifies  []BackendConfig
	Moved     []Moved
	Policy    Policy
}

// AdapterConfig is an adapter block: a user's own adapter in Python.
type AdapterConfig struct {
	Name         string
	Source       string // absolute path of its file or package folder
	Requirements string // absolute path of its requirements file; "" = none
	Strict       bool   // settings of defaults and presets that it never reads fail the run, too
	Range        Range
}

// Variable is the value that a variable got, and from where.
type Variable struct {
	Value     any    // plain Go value (string, float64, bool, []any, map[string]any); nil when sensitive
	Source    string // default | environment | file | --var
	Sensitive bool
}

// Kind says what a step does.
type Kind string

const (
	KindTrain    Kind = "train"
	KindEvaluate Kind = "evaluate"
	KindExport   Kind = "export"
	KindStep     Kind = "step"
)

// Address names a step instance: train.search["learning_rate=0.001"].
type Address string

// Step is one step instance of a pipeline.
type Step struct {
	Address  Address
	Kind     Kind
	Name     string    // the block's label
	Instance string    // matrix or for_each key; "" without
	Needs    []Address // steps whose results this one refers to, or names in depends_on
	Range    Range     // the block's header

	Adapter  string  // native, timm, …; "" for kind step
	Task     string  // image_classification, …
	Model    string  // the model's name, for display
	Executor Address // "" = local

	Retry    Retry
	Timeout  time.Duration // of one attempt; 0 = none
	OnChange OnChange

	// Resolve evaluates the step's fields with the results known so far. It
	// may be called with some of Needs missing (plan); fields that wait for
	// them are listed in Spec.Unknown. Errors are diagnostics of the language
	// with ranges (hcl.Diagnostics satisfies error).
	Resolve func(Results) (Spec, error)
}

// OnChange is what a changed train step does when its changes allow a resume.
type OnChange string

const (
	OnChangeRetrain OnChange = "retrain"
	OnChangeResume  OnChange = "resume"
)

// Retry says how often and for which causes a failed attempt is repeated.
type Retry struct {
	Attempts int     `json:"attempts"` // all attempts, the first included; 0 or 1 = no retry
	On       []Cause `json:"on,omitempty"`
}

// Check is a condition on results; a false one ends apply with exit code 5.
type Check struct {
	Address Address // check.quality
	Needs   []Address
	Range   Range // of the condition
	// Evaluate returns whether the condition holds, with the message to print when not.
	// Unknown lists steps whose results are still missing.
	Evaluate func(Results) (CheckResult, error)
}

// CheckResult is one evaluation of a check.
type CheckResult struct {
	OK      bool
	Message string    // error_message, evaluated
	Values  []Operand // the references in the condition with their values, for the message
	Unknown []Address
}

// Operand is a reference in a condition and its value at the time.
type Operand struct {
	Expr  string
	Value string
}

// Output is a named value of the pipeline.
type Output struct {
	Name        string
	Description string
	Sensitive   bool
	Needs       []Address
	Range       Range
	// Evaluate returns a plain Go value (string, float64, bool, []any,
	// map[string]any), or the steps that it waits for.
	Evaluate func(Results) (value any, unknown []Address, err error)
}

// ExecutorConfig is an executor block. Attributes hold its decoded fields.
type ExecutorConfig struct {
	Address    Address
	Type       string // local | dagger | kubernetes | remote
	Name       string
	Range      Range
	Attributes map[string]any
}

// BackendConfig is an artifacts, tracker or notify block.
type BackendConfig struct {
	Type       string
	Name       string
	Range      Range
	Attributes map[string]any
	Secrets    map[string]Secret // attributes given by secret(): read at use, never stored
}

// Moved renames a step's state.
type Moved struct {
	From, To Address
	Range    Range
}

// Policy refuses what its owner does not want at plan.
type Policy struct {
	ForbidLicenses []string
	Range          Range
}

// Secret is a value that never leaves the process except as a step's environment.
// Its String and MarshalJSON hide it.
type Secret struct{ value string }

// NewSecret wraps a secret value.
func NewSecret(v string) Secret { return Secret{value: v} }

// Reveal returns the secret itself; call it only where it is handed to a process or a client.
func (s Secret) Reveal() string { return s.value }

func (s Secret) String() string { return "(sensitive)" }

// GoString hides the value from %#v as well.
func (s Secret) GoString() string { return "(sensitive)" }

// MarshalJSON writes the word (sensitive) in place of the value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"(sensitive)"`), nil }
