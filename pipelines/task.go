package pipelines

// TaskVersion is the version of task.json written by this release.
const TaskVersion = 1

// Task is what an executor runs: one attempt of one run, complete in itself.
// It is written as attempts/N/task.json and holds no secrets.
// docs/protocol.md describes it; docs/schema/task.schema.json checks it.
type Task struct {
	Version  int     `json:"v"`
	Pipeline string  `json:"pipeline"`
	Address  Address `json:"address"`
	RunID    string  `json:"run_id"`
	JobID    int64   `json:"job_id"`
	Attempt  int     `json:"attempt"` // counted from 1
	Kind     Kind    `json:"kind"`
	Adapter  string  `json:"adapter"`
	TaskType string  `json:"task"`

	RunDir     string `json:"run_dir"`     // checkpoints/ and artifacts/ lie here, shared by the run's attempts
	AttemptDir string `json:"attempt_dir"` // task.json, events.ndjson, logs

	Model    *ModelSpec    `json:"model,omitempty"`
	Dataset  *TaskDataset  `json:"dataset,omitempty"`
	Train    *TaskTrain    `json:"train,omitempty"`
	Evaluate *EvaluateSpec `json:"evaluate,omitempty"`
	Export   *ExportSpec   `json:"export,omitempty"`
	Command  *CommandSpec  `json:"command,omitempty"` // of a step block

	// Resume asks this attempt to go on from the newest readable checkpoint in
	// RunDir/checkpoints (an earlier attempt of the same run).
	Resume bool              `json:"resume,omitempty"`
	GPUs   []int             `json:"gpus,omitempty"` // devices leased for a step in a container
	Env    map[string]string `json:"env,omitempty"`  // non-secret environment
}

// TaskDataset is the dataset of a task.
type TaskDataset struct {
	Name        string   `json:"name"`
	Format      string   `json:"format"`
	Path        string   `json:"path"` // root folder, for adapters that load it themselves
	Fingerprint string   `json:"fingerprint"`
	Classes     []string `json:"classes"`
	IndexPath   string   `json:"index_path"` // a DatasetIndex as JSON
}

// TaskTrain is the training part of a task.
type TaskTrain struct {
	Epochs       int              `json:"epochs"`
	BatchSize    int              `json:"batch_size"`
	LearningRate float64          `json:"learning_rate"`
	Seed         int64            `json:"seed"`
	Device       string           `json:"device"`
	NumWorkers   int              `json:"num_workers"`
	Monitor      string           `json:"monitor"`
	Mode         string           `json:"mode"`
	Config       map[string]any   `json:"config"`  // active effective values by dotted name
	Written      []string         `json:"written"` // the names in Config that the user wrote
	Start        *Start           `json:"start,omitempty"`
	Keep         []string         `json:"keep,omitempty"`  // on a resume: fields whose checkpoint value stays
	Reset        []string         `json:"reset,omitempty"` // on a resume: fields whose state is dropped
	Checkpoint   CheckpointPolicy `json:"checkpoint"`
}
