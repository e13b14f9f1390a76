package train

import (
	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/metrics"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
)

// Observer is told what happens, in order, from one goroutine. An error it
// returns ends the training with that error.
type Observer func(Event) error

// Event is one of Applied, Resumed, Progress, EpochEnd, Validation, Saved and Message.
type Event interface{ event() }

// Applied comes first, before any step: what was really built, read from the
// compiled graph, the schedule and the loader.
type Applied struct {
	Model          string
	ImageSize      int
	Classes        int
	Parameters     int      // trainable numbers
	Frozen         []string // parameter names
	Optimizer      optim.Config
	Schedule       optim.Schedule
	Loader         data.Applied
	Seed           int64
	Epochs         int
	ClipNorm       float64
	Accumulate     int
	LabelSmoothing float64
	EMADecay       float64
	MixedPrecision bool
	Precision      string // of convolutions and matrix products: float32, float16, bfloat16
	Patience       int
	Monitor        string
	Minimize       bool
	Weights        string            // where the initial weights came from
	Device         string            // cpu, cuda:N
	Inactive       map[string]string // what was asked for and has no effect here, and why
	Environment    map[string]string // what decides the last bits of results
}

// Resumed says from where training goes on.
type Resumed struct {
	Checkpoint  checkpoint.Info
	Epoch       int // epochs completed
	Position    int // images of the next epoch that are done
	GlobalStep  int64
	Differences map[string]string // of the environment: "threads": "2 -> 4"
}

// Progress is where training is, a few times a second at most.
type Progress struct {
	Epoch, Epochs   int   // counted from 1
	Step, Steps     int64 // batches of this epoch
	GlobalStep      int64 // updates so far
	Loss            float64
	ImagesPerSecond float64
	ETASeconds      float64
}

// EpochEnd has the training metrics of a finished epoch: the mean loss
// (smoothed labels included) and the accuracy on augmented images while the
// weights changed.
type EpochEnd struct {
	Epoch           int // counted from 1
	GlobalStep      int64
	Loss            float64
	Accuracy        float64
	LearningRate    float64
	ImagesPerSecond float64
}

// Validation is one pass over the validation images.
type Validation struct {
	Epoch      int // counted from 1; when evaluating, the checkpoint's
	GlobalStep int64
	Report     metrics.Report
	Metrics    map[string]float64
	Classes    []string
	Curves     []metrics.Curve // by class
	Samples    []Prediction    // the worst errors, then some of the rest
	Improved   bool            // the best so far by Config.Monitor
	Checkpoint string          // where it will be saved; "" = not at this epoch
}

// Saved comes once a checkpoint is durable; it is the latest then.
type Saved struct {
	Checkpoint checkpoint.Info
	Best       bool
}

// Message is a line for people. Level is info or warning.
type Message struct {
	Level string
	Text  string
}

func (Applied) event()    {}
func (Resumed) event()    {}
func (Progress) event()   {}
func (EpochEnd) event()   {}
func (Validation) event() {}
func (Saved) event()      {}
func (Message) event()    {}

// Prediction is one image, its label and what the model said.
type Prediction struct {
	Path       string
	Label      int
	Class      int
	Confidence float64
	Loss       float64
}

// Result is what a training leaves.
type Result struct {
	Epochs      int // completed
	GlobalStep  int64
	Metrics     map[string]float64 // validation metrics of the best epoch
	LastMetrics map[string]float64 // of the last one
	PerClass    []metrics.Class    // of the best epoch
	Best        checkpoint.Info    // zero if none was saved
	Latest      checkpoint.Info
	Model       string // path of the best epoch's model.onnx; "" = none
	StoppedBy   string // early_stopping; "" = all epochs ran
}

// metricsOf names the scalars of a report.
func metricsOf(r metrics.Report) map[string]float64 {
	return map[string]float64{
		"loss": r.Loss, "accuracy": r.Accuracy, "top5_accuracy": r.Top5,
		"precision": r.Macro.Precision, "recall": r.Macro.Recall, "f1": r.Macro.F1,
	}
}
