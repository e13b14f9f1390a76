package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/metrics"
)

// Files of a checkpoint. weights.safetensors holds the weights that validate
// and are deployed, under the model's names: the moving averages where there
// are any. training.safetensors holds all other tensors, the raw weights among
// them in that case.
const (
	WeightsFile  = "weights.safetensors"
	trainingFile = "training.safetensors"
	stateFile    = "state.json"
	ModelFile    = "model.onnx" // in the best checkpoint
)

const stateVersion = 1 // of state.json

// State is state.json: what a training needs to go on, beside its tensors.
type State struct {
	Version       int               `json:"v"`
	Model         SavedModel        `json:"model"`
	Epoch         int               `json:"epoch"`    // epochs completed
	Position      int               `json:"position"` // images of the next epoch that are done
	GlobalStep    int64             `json:"global_step"`
	OptimizerStep int64             `json:"optimizer_step"` // updates since the optimizer's state began
	EMAStep       int64             `json:"ema_step"`       // updates since the moving average began
	Window        Window            `json:"window"`
	Sums          Sums              `json:"sums"`
	Best          *Best             `json:"best,omitempty"`
	Last          *Best             `json:"last,omitempty"` // of the last validated epoch
	Stale         int               `json:"stale"`          // validations since the best
	StoppedBy     string            `json:"stopped_by,omitempty"`
	EMA           bool              `json:"ema"`
	LossScale     *LossScale        `json:"loss_scale,omitempty"` // with float16
	Environment   map[string]string `json:"environment"`
	Config        map[string]any    `json:"config,omitempty"` // Config.Record
}

// SavedModel is what is needed to build the model again.
type SavedModel struct {
	Name      string   `json:"name"`
	ImageSize int      `json:"image_size"`
	Classes   []string `json:"classes"`
}

// Window is the accumulation window under way.
type Window struct {
	Batches int `json:"batches"`
	Samples int `json:"samples"`
}

// Sums are the running sums of the epoch under way.
type Sums struct {
	Loss    float64 `json:"loss"` // times images
	Right   float64 `json:"right"`
	Images  int     `json:"images"`
	Batches int64   `json:"batches"`
}

// Best is a validated epoch. Metrics that are not finite are left out.
type Best struct {
	Epoch      int                `json:"epoch"`
	GlobalStep int64              `json:"global_step"`
	Metrics    map[string]float64 `json:"metrics"`
	PerClass   []metrics.Class    `json:"per_class"`
}

// ReadState reads the state.json of the checkpoint at path.
func ReadState(path string) (State, error) {
	var s State
	text, err := os.ReadFile(filepath.Join(path, stateFile))
	if err != nil {
		return s, fmt.Errorf("read the training state: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s of %s: %w", stateFile, path, err)
	}
	if s.Version != stateVersion {
		return s, fmt.Errorf("%s of %s has version %d, this release reads %d", stateFile, path, s.Version, stateVersion)
	}
	return s, nil
}

// better reports whether value improves on the best so far; a NaN never does.
func better(value float64, best *Best, metric string, minimize bool) bool {
	if math.IsNaN(value) {
		return false
	}
	if best == nil {
		return true
	}
	old, ok := best.Metrics[metric]
	if !ok {
		return true
	}
	if minimize {
		return value < old
	}
	return value > old
}
