package pipelines

// Results are the outcomes of steps, known so far, by address.
type Results map[Address]Result

// Result is what a completed step leaves for others to refer to.
type Result struct {
	RunID       string                        `json:"run_id"`
	Metrics     map[string]float64            `json:"metrics,omitempty"`      // those of the best checkpoint
	LastMetrics map[string]float64            `json:"last_metrics,omitempty"` // of the last epoch
	PerClass    map[string]map[string]float64 `json:"per_class,omitempty"`    // class -> precision, recall, f1, support
	Best        *Checkpoint                   `json:"best,omitempty"`
	Latest      *Checkpoint                   `json:"latest,omitempty"`
	Artifacts   map[string]Artifact           `json:"artifacts,omitempty"` // name -> file, e.g. "model.onnx"
	Outputs     map[string]string             `json:"outputs,omitempty"`   // of a step block: name -> path
}

// Checkpoint is a saved state of training: a folder with a manifest, or one file.
type Checkpoint struct {
	RunID      string             `json:"run_id,omitempty"`
	Name       string             `json:"name"` // epoch_N | latest | best
	Path       string             `json:"path"`
	SHA256     string             `json:"sha256"` // of its manifest, or of the file
	Size       int64              `json:"size,omitempty"`
	Epoch      int                `json:"epoch"`       // epochs completed, counted from 1
	GlobalStep int64              `json:"global_step"` // optimizer updates done
	Metrics    map[string]float64 `json:"metrics,omitempty"`
}

// Artifact is a file that a step made for its users.
type Artifact struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	SHA256    string `json:"sha256"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type,omitempty"`
}
