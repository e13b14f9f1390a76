package pipelines

import "slices"

// Spec is what one step instance shall do, with every field resolved as far
// as results are known. Plain data: it is what content keys are made of.
type Spec struct {
	Address  Address       `json:"address"`
	Kind     Kind          `json:"kind"`
	Adapter  string        `json:"adapter,omitempty"`
	Task     string        `json:"task,omitempty"`
	Model    *ModelSpec    `json:"model,omitempty"`
	Dataset  *DatasetSpec  `json:"dataset,omitempty"`
	Train    *TrainSpec    `json:"train,omitempty"`
	Evaluate *EvaluateSpec `json:"evaluate,omitempty"`
	Export   *ExportSpec   `json:"export,omitempty"`
	Command  *CommandSpec  `json:"command,omitempty"` // kind step

	Env       map[string]string `json:"env,omitempty"`
	SecretEnv map[string]Secret `json:"-"`

	// Unknown maps a field path ("train.start.checkpoint", "model.weights") to
	// the steps that it waits for. Empty once all of Needs have results.
	Unknown map[string][]Address `json:"unknown,omitempty"`
	// Ranges maps field paths to where the user wrote them.
	Ranges map[string]Range `json:"-"`
}

// ModelSpec is a model block.
type ModelSpec struct {
	Name       string `json:"name"`
	ImageSize  int    `json:"image_size"`            // pixels, square
	NumClasses int    `json:"num_classes,omitempty"` // 0 = found in the dataset
	Pretrained bool   `json:"pretrained,omitempty"`
	// PretrainedSHA256 is what the lock file pins of the pretrained weights, in
	// hex; "" = not pinned yet. It is set in tasks only.
	PretrainedSHA256 string       `json:"pretrained_sha256,omitempty"`
	Weights          *WeightsFile `json:"weights,omitempty"`
	Freeze           []string     `json:"freeze,omitempty"` // globs over parameter names
	License          string       `json:"license,omitempty"`
}

// WeightsFile is a file of weights: a path, or a checkpoint of another step.
type WeightsFile struct {
	Path       string      `json:"path,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// DatasetSpec is a dataset block. Paths are absolute or URLs.
type DatasetSpec struct {
	Name       string            `json:"name"`
	Format     string            `json:"format"` // dice | imagefolder | coco | yolo | voc | custom
	Path       string            `json:"path,omitempty"`
	Paths      map[string]string `json:"paths,omitempty"` // split name -> path
	Union      []DatasetSpec     `json:"union,omitempty"`
	Classes    []string          `json:"classes,omitempty"`
	Split      *Split            `json:"split,omitempty"`
	Checks     DatasetChecks     `json:"checks"`
	Transforms map[string]any    `json:"transforms,omitempty"`
	Range      Range             `json:"-"`
}

// Split divides a flat dataset. Fractions are of the whole and sum to at most 1.
type Split struct {
	Train    float64 `json:"train"`
	Val      float64 `json:"val"`
	Test     float64 `json:"test,omitempty"`
	Seed     int64   `json:"seed"`
	Stratify bool    `json:"stratify"`
}

// DatasetChecks are the thresholds that stop a plan.
type DatasetChecks struct {
	MaxCorrupt  int    `json:"max_corrupt"`
	MinPerClass int    `json:"min_per_class,omitempty"` // images of the train split
	Leakage     string `json:"leakage,omitempty"`       // error | warn | ignore; "" = error
}

// TrainSpec is a train block.
type TrainSpec struct {
	Epochs       int              `json:"epochs"`
	BatchSize    int              `json:"batch_size"`
	LearningRate float64          `json:"learning_rate"` // equals Config["optimizer.learning_rate"]
	Seed         int64            `json:"seed"`
	Preset       string           `json:"preset,omitempty"`
	Device       string           `json:"device"` // auto | cpu | cuda | cuda:N
	NumWorkers   int              `json:"num_workers,omitempty"`
	Monitor      string           `json:"monitor"`
	Mode         string           `json:"mode"` // max | min
	Config       Config           `json:"config"`
	Start        *Start           `json:"start,omitempty"`
	Checkpoint   CheckpointPolicy `json:"checkpoint"`
}

// Config is the effective advanced config by dotted field name
// ("optimizer.weight_decay"), every field of the schema present.
type Config map[string]Setting

// Setting is one effective value and who set it.
type Setting struct {
	Value  any    `json:"value"` // string, float64, int64, bool, []any or nil (unset)
	Origin Origin `json:"origin"`
	// Inactive says why the value has no effect ("optimizer.type is \"adam\""); "" = active.
	Inactive string `json:"inactive,omitempty"`
	// Derived names what an unwritten value follows ("epochs"); changes of it are not counted.
	Derived string `json:"derived,omitempty"`
	// Replaced is the written value that a matrix cell replaced.
	Replaced any   `json:"replaced,omitempty"`
	Range    Range `json:"-"`
}

// Origin says who set a value, low to high.
type Origin string

const (
	OriginDefault Origin = "default"
	OriginPreset  Origin = "preset"
	OriginTrain   Origin = "train"  // an attribute of the train block
	OriginConfig  Origin = "config" // the config block
	OriginMatrix  Origin = "matrix"
)

// Written reports that the user wrote the value, which makes it strict.
func (o Origin) Written() bool {
	return o == OriginTrain || o == OriginConfig || o == OriginMatrix
}

// Active returns the values in force by dotted name.
func (c Config) Active() map[string]any {
	out := make(map[string]any, len(c))
	for name, s := range c {
		if s.Inactive == "" && s.Value != nil {
			out[name] = s.Value
		}
	}
	return out
}

// Written returns the names of active fields that the user wrote, sorted.
func (c Config) Written() []string {
	var names []string
	for name, s := range c {
		if s.Inactive == "" && s.Origin.Written() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Start says from which checkpoint training goes on.
type Start struct {
	Checkpoint Checkpoint `json:"checkpoint"`
	Mode       StartMode  `json:"mode"`
}

// StartMode is how much of a checkpoint is used.
type StartMode string

const (
	StartWeights StartMode = "weights" // weights only
	StartResume  StartMode = "resume"  // optimizer, schedule and position too
)

// CheckpointPolicy says which checkpoints are kept. Zero = the default: every
// epoch, the last 2 and the best kept.
type CheckpointPolicy struct {
	Every     int `json:"every,omitempty"`      // epochs
	KeepLast  int `json:"keep_last,omitempty"`  // newest epoch_N kept
	KeepBest  int `json:"keep_best,omitempty"`  // best epoch_N kept
	KeepEvery int `json:"keep_every,omitempty"` // every N-th epoch kept for good; 0 = none
}

// EvaluateSpec is an evaluate block.
type EvaluateSpec struct {
	Checkpoint Checkpoint `json:"checkpoint"`
	Split      string     `json:"split"` // train | val | test
	BatchSize  int        `json:"batch_size,omitempty"`
	Device     string     `json:"device,omitempty"`
}

// ExportSpec is an export block.
type ExportSpec struct {
	Checkpoint    Checkpoint `json:"checkpoint"`
	Format        string     `json:"format"`    // onnx
	Precision     string     `json:"precision"` // fp32 | fp16 | int8
	MaxMetricDrop *float64   `json:"max_metric_drop,omitempty"`
}

// CommandSpec is a step block: any work in a container.
type CommandSpec struct {
	Image   string            `json:"image"`
	Command []string          `json:"command"`
	Inputs  map[string]string `json:"inputs,omitempty"`
	Outputs map[string]string `json:"outputs,omitempty"`
}
