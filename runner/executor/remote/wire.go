package remote

import (
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/mirror"
)

// What client and server say to each other, as JSON in
// POST /api/v1/tasks/{method}. Every method may be repeated without harm.
const (
	MethodStart  = "start"  // Order: start the attempt, or go on following it
	MethodFollow = "follow" // Offset, Output, Wait: what is new
	MethodStop   = "stop"   // Grace: a checkpoint, and the end
	MethodFiles  = "files"  // what the run's folder holds
	MethodRead   = "read"   // Path, At: a piece of a file
	MethodWrite  = "write"  // Path, At, Data, or Link: a file that the attempt starts from
	MethodHome   = "home"   // all of an attempt that has ended was fetched
)

// Piece is how much of a file travels at a time, in bytes.
const Piece = 2 << 20

// Call is a request about one attempt.
type Call struct {
	RunID   string `json:"run_id"`
	Attempt int    `json:"attempt"`

	Order *Order        `json:"order,omitempty"`
	Grace time.Duration `json:"grace,omitempty"`

	Offset int64 `json:"offset,omitempty"` // of the spool, as the answer before said
	Output int64 `json:"output,omitempty"` // of the step's output
	Wait   int   `json:"wait,omitempty"`   // seconds, at most MaxWait, while nothing is new

	Path string `json:"path,omitempty"` // in the run's folder, with slashes
	At   int64  `json:"at,omitempty"`
	Data []byte `json:"data,omitempty"`
	Link string `json:"link,omitempty"` // the file is a link to this neighbour
}

// MaxWait is how long an answer to MethodFollow may take, in seconds.
const MaxWait = 10

// Order is an attempt to be run. Its paths are relative: those of data to the
// folder that the server lends, those of files that were sent to the run's folder.
type Order struct {
	Task    pipelines.Task         `json:"task"`
	Dataset *pipelines.DatasetSpec `json:"dataset,omitempty"`
	Adapter *adapters.Info         `json:"adapter,omitempty"` // that the step was planned with
	Env     map[string]string      `json:"env,omitempty"`
	// Secrets are kept in memory only.
	Secrets map[string]string `json:"secrets,omitempty"`
	Timeout time.Duration     `json:"timeout,omitempty"`
	Grace   time.Duration     `json:"grace,omitempty"`
}

// State is where an attempt stands on the server.
type State string

const (
	StateWaiting State = "waiting" // for its data, or for room
	StateRunning State = "running"
	StateEnded   State = "ended"
)

// Answer is what the server says.
type Answer struct {
	State   State        `json:"state,omitempty"`
	Waiting string       `json:"waiting,omitempty"`  // what for
	Exit    *runner.Exit `json:"exit,omitempty"`     // once it has ended
	RunDir  string       `json:"run_dir,omitempty"`  // on the server
	Root    string       `json:"root,omitempty"`     // of data, there
	DataDir string       `json:"data_dir,omitempty"` // the dataset's own folder there, once it runs

	Events []byte `json:"events,omitempty"` // whole lines of the spool
	Offset int64  `json:"offset,omitempty"` // behind them
	Output []byte `json:"output,omitempty"`
	Log    int64  `json:"log,omitempty"`  // behind the output
	Done   bool   `json:"done,omitempty"` // it has ended and all was read

	Files []mirror.File `json:"files,omitempty"`
	Data  []byte        `json:"data,omitempty"`
	Size  int64         `json:"size,omitempty"` // of the file that is read or written
}
