package pipelines

import "time"

// EventVersion is the version of event lines written by this release.
const EventVersion = 1

// EventType names what an event reports.
type EventType string

const (
	EventConfigApplied EventType = "config_applied"
	EventResumed       EventType = "resumed"
	EventStatus        EventType = "status"
	EventProgress      EventType = "progress"
	EventMetrics       EventType = "metrics"
	EventValidation    EventType = "validation"
	EventCheckpoint    EventType = "checkpoint"
	EventMessage       EventType = "message"
	EventResult        EventType = "result"
)

// Event is one line of events.ndjson. Its identity is (run, attempt, seq):
// a reader keeps the first and drops repeats. Exactly one of the pointers is
// set, the one that Type names.
type Event struct {
	Version int       `json:"v"`
	Attempt int       `json:"attempt"`
	Seq     int64     `json:"seq"` // counted from 1 within the attempt
	Time    time.Time `json:"time"`
	Type    EventType `json:"type"`

	ConfigApplied *ConfigApplied `json:"config_applied,omitempty"`
	Resumed       *Resumed       `json:"resumed,omitempty"`
	Status        *StatusReport  `json:"status,omitempty"`
	Progress      *Progress      `json:"progress,omitempty"`
	Metrics       *Metrics       `json:"metrics,omitempty"`
	Validation    *Validation    `json:"validation,omitempty"`
	Checkpoint    *Checkpoint    `json:"checkpoint,omitempty"`
	Message       *Message       `json:"message,omitempty"`
	Result        *StepResult    `json:"result,omitempty"`
}

// ConfigApplied is the config that a step really built, read back from the
// objects. It comes before step 1.
type ConfigApplied struct {
	Values map[string]any `json:"values"` // dotted field name -> value in force
	// Attributes are the train block's own numbers as built: epochs,
	// batch_size, learning_rate, seed, image_size, num_classes, device.
	Attributes  map[string]any    `json:"attributes,omitempty"`
	Unsupported map[string]string `json:"unsupported,omitempty"` // field -> reason it can have no effect here
	Proof       string            `json:"proof"`                 // objects | read
	// Environment: engine, provider, threads, ISA, …; pretrained_sha256 of
	// downloaded weights, which the lock file then pins.
	Environment map[string]string `json:"environment,omitempty"`
}

// Resumed says from where an attempt goes on. Metrics of earlier attempts
// beyond GlobalStep are superseded.
type Resumed struct {
	Checkpoint  string            `json:"checkpoint"` // its path
	SHA256      string            `json:"sha256,omitempty"`
	Epoch       int               `json:"epoch"` // epochs completed
	GlobalStep  int64             `json:"global_step"`
	Differences map[string]string `json:"differences,omitempty"` // environment: "threads": "2 -> 4"
}

// StatusReport is a state that a step tells of itself.
type StatusReport struct {
	State Status `json:"state"`
	Error string `json:"error,omitempty"`
	Cause Cause  `json:"cause,omitempty"`
}

// Progress is where training is now. It is not kept as history.
type Progress struct {
	Epoch           int     `json:"epoch"` // counted from 1
	Epochs          int     `json:"epochs"`
	Step            int64   `json:"step"` // within the epoch, counted from 1
	Steps           int64   `json:"steps"`
	GlobalStep      int64   `json:"global_step"`
	Loss            float64 `json:"loss"` // running mean of the epoch
	ImagesPerSecond float64 `json:"images_per_second"`
	ETASeconds      float64 `json:"eta_seconds"`
}

// Metrics is a set of scalars at one moment. A metric's key is
// (run, name, split, class, epoch, global_step).
type Metrics struct {
	Epoch      int                `json:"epoch"`
	GlobalStep int64              `json:"global_step"`
	Split      string             `json:"split"`  // train | val | test
	Values     map[string]float64 `json:"values"` // loss, accuracy, learning_rate, …; fractions lie in [0,1]
}

// Validation is one pass over a held-out split.
type Validation struct {
	Epoch           int                           `json:"epoch"`
	GlobalStep      int64                         `json:"global_step"`
	TaskType        string                        `json:"task_type"`
	Split           string                        `json:"split"`
	PrimaryName     string                        `json:"primary_metric_name"`
	PrimaryValue    float64                       `json:"primary_metric_value"`
	Loss            float64                       `json:"overall_loss"`
	Metrics         map[string]float64            `json:"metrics"`
	PerClass        map[string]map[string]float64 `json:"per_class_metrics,omitempty"` // class -> precision, recall, f1, support
	Classes         []string                      `json:"classes,omitempty"`
	ConfusionMatrix [][]int64                     `json:"confusion_matrix,omitempty"` // [truth][prediction]
	PRCurves        map[string]PRCurve            `json:"pr_curves,omitempty"`        // class -> its curve
	Samples         []SamplePrediction            `json:"samples,omitempty"`          // the worst errors and some others
	CheckpointPath  string                        `json:"checkpoint_path,omitempty"`
}

// PRCurve is precision over recall of one class against the rest: what of the
// predictions that score at least a threshold is right, and what of the class
// they find. Thresholds fall; the lists are of one length, of about 60 at most.
type PRCurve struct {
	AP         Float   `json:"ap"` // average precision
	Thresholds []Float `json:"thresholds"`
	Precision  []Float `json:"precision"`
	Recall     []Float `json:"recall"`
}

// SamplePrediction is one image and what the model said of it.
type SamplePrediction struct {
	Path       string  `json:"path"`
	Label      int     `json:"label"`
	Prediction int     `json:"prediction"`
	Confidence float64 `json:"confidence"` // of the prediction
	Loss       float64 `json:"loss"`
}

// Message is a line for people.
type Message struct {
	Level string `json:"level"` // debug | info | warning | error
	Text  string `json:"text"`
}

// StepResult ends an attempt that ran to its end, well or badly.
type StepResult struct {
	State       Status                        `json:"state"` // completed | failed | cancelled
	Cause       Cause                         `json:"cause,omitempty"`
	Error       string                        `json:"error,omitempty"`
	Metrics     map[string]float64            `json:"metrics,omitempty"`
	LastMetrics map[string]float64            `json:"last_metrics,omitempty"`
	PerClass    map[string]map[string]float64 `json:"per_class,omitempty"`
	Best        *Checkpoint                   `json:"best,omitempty"`
	Latest      *Checkpoint                   `json:"latest,omitempty"`
	Artifacts   []Artifact                    `json:"artifacts,omitempty"`
	Outputs     map[string]string             `json:"outputs,omitempty"`    // of a step block: name -> path
	StoppedBy   string                        `json:"stopped_by,omitempty"` // early_stopping, …
}
