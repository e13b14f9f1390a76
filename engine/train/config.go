package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/train/checkpoint"
	"github.com/trainwright/trainwright/engine/zoo"
)

// Config is a training. Zero values of optional fields mean what their comment says.
type Config struct {
	Model  Model
	Train  []data.Sample
	Val    []data.Sample // empty: no validation, and the last epoch counts as the best
	Epochs int

	BatchSize int
	Seed      int64  // of initial weights, order and augmentation
	Workers   int    // goroutines that load images; 0 = one per processor
	Device    string // auto | cpu | cuda | cuda:N; "" = auto
	Threads   int    // within an operator; 0 = one per processor. Other counts give other roundings

	Optimizer      optim.Config
	Schedule       optim.Schedule
	Augment        data.Augment
	MixedPrecision bool    // inactive where the provider is not faster for it
	ClipNorm       float64 // largest norm of all gradients together; 0 = off
	Accumulate     int     // batches per update; 0 = 1
	LabelSmoothing float64
	EMADecay       float64 // 0 = off
	Patience       int     // epochs without improvement before stopping early; 0 = never
	DropLast       bool

	Monitor  string // metric of Metrics that decides which epoch is best; "" = accuracy
	Minimize bool   // smaller is better

	Checkpoints Checkpoints
	Resume      bool  // go on from the newest whole checkpoint in Checkpoints.Dir, if there is one
	Start       Start // where to begin when there is nothing to resume

	Record  map[string]any // kept in every checkpoint: the caller's own description of this config
	Library string         // ONNX Runtime; "" = where ort.Find finds it

	adjust func(*device) // tests: change the device that was found
}

// Model says what is trained.
type Model struct {
	Name      string   // of the zoo
	ImageSize int      // 0 = the model's own
	Classes   []string // index = label
	Freeze    []string // globs over parameter names
	Weights   string   // safetensors file to start from; "" = initial values by Seed
}

// Checkpoints say where and how often state is saved.
type Checkpoints struct {
	Dir    string
	Policy checkpoint.Policy // Metric and Min are filled in
	// Steps and Interval bound what a kill can lose within an epoch: a
	// checkpoint after that many updates, or that much time. Zero: 30 seconds,
	// or longer where writing one takes more than a twentieth of it.
	Steps    int
	Interval time.Duration
}

// Start is a checkpoint of another run to begin from.
type Start struct {
	Path    string // folder, or with Weights also a safetensors file; "" = none
	Weights bool   // take only the weights
	Reset   []Part // drop the state of these parts
}

// Part is a piece of training state that can be dropped on a resume.
type Part string

const (
	PartOptimizer Part = "optimizer"
	PartEMA       Part = "ema"
)

// Metrics names what validation measures, for Config.Monitor.
var Metrics = []string{"accuracy", "top5_accuracy", "loss", "precision", "recall", "f1"}

// normal returns c with defaults filled in, or what is wrong with it.
func (c Config) normal() (Config, error) {
	model, err := zoo.Lookup(c.Model.Name)
	if err != nil {
		return c, err
	}
	if c.Model.ImageSize == 0 {
		c.Model.ImageSize = model.DefaultImageSize
	}
	c.Accumulate = max(1, c.Accumulate)
	if c.Monitor == "" {
		c.Monitor = "accuracy"
	}
	if c.Checkpoints.Policy.Every < 1 {
		c.Checkpoints.Policy.Every = 1
	}
	c.Checkpoints.Policy.Metric, c.Checkpoints.Policy.Min = c.Monitor, c.Minimize
	if c.Schedule.Epochs == 0 {
		c.Schedule.Epochs = c.Epochs
	}
	return c, c.check(model)
}

func (c Config) check(model zoo.Model) error {
	switch {
	case len(c.Model.Classes) < 2:
		return fmt.Errorf("training needs at least two classes, got %d", len(c.Model.Classes))
	case len(c.Train) == 0:
		return errors.New("the train split has no images")
	case c.Epochs < 1:
		return fmt.Errorf("epochs is %d, want at least 1", c.Epochs)
	case c.BatchSize < 1:
		return fmt.Errorf("batch_size is %d, want at least 1", c.BatchSize)
	case c.ClipNorm < 0:
		return fmt.Errorf("gradient_clip_value is %v, want at least 0", c.ClipNorm)
	case c.LabelSmoothing < 0 || c.LabelSmoothing > 1:
		return fmt.Errorf("label_smoothing is %v, want a value in [0, 1]", c.LabelSmoothing)
	case c.EMADecay < 0 || c.EMADecay >= 1:
		return fmt.Errorf("ema_decay is %v, want a value in [0, 1)", c.EMADecay)
	case c.Checkpoints.Dir == "":
		return errors.New("no folder for checkpoints")
	case !slices.Contains(Metrics, c.Monitor):
		return fmt.Errorf("monitor %q is not measured; choose one of %s", c.Monitor, strings.Join(Metrics, ", "))
	}
	for _, s := range slices.Concat(c.Train, c.Val) {
		if s.Label < 0 || s.Label >= len(c.Model.Classes) {
			return fmt.Errorf("%s has label %d, but there are %d classes", s.Path, s.Label, len(c.Model.Classes))
		}
	}
	return errors.Join(model.CheckSize(c.Model.ImageSize), c.Optimizer.Check(), c.Schedule.Check())
}
