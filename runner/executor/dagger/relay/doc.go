// Package relay is the ground that a step in a container and the process that
// follows it from outside share: a small HTTP protocol over a unix socket.
//
// Inside the container Run starts the step's command, which keeps to the step
// protocol and knows nothing of this one. What the step writes (its spool, its
// log, checkpoints and artifacts) is sent out while it works; the spool is the
// resend buffer. Outside, Home takes it in and writes the same files into the
// attempt and run folders of the host, which have the same paths as those in
// the container.
//
// Order is kept: what stands in the spool before a checkpoint event is home
// before the checkpoint's files are, and these before the event itself.
package relay

import "time"

// SocketPath is where the socket is in every container. It never changes, so
// that it does not decide what may be answered from a cache.
const SocketPath = "/run/trainwright/home.sock"

// Environment variables of the relay.
const (
	EnvToken  = "RUNNER_RELAY_TOKEN"  // the attempt's own token
	EnvSocket = "RUNNER_RELAY_SOCKET" // another place of the socket, for tests
)

// Exit codes of Run that are not the step's own.
const (
	ExitNotStarted = 127 // the command could not be started
	ExitRelay      = 126 // the relay itself failed before the step started
)

const (
	beat        = 500 * time.Millisecond // between two questions whether to stop
	tick        = 100 * time.Millisecond // between two looks at spool and log
	callTimeout = 10 * time.Second       // of a request with a small body
	idleTimeout = 30 * time.Second       // of a transfer in which nothing moves
	giveUp      = 60 * time.Second       // after the step's end without an answer
)

// Spec says what a relay does. It is part of the file that its path names.
type Spec struct {
	Attempt    int      `json:"attempt"`
	RunDir     string   `json:"run_dir"`
	AttemptDir string   `json:"attempt_dir"`
	Argv       []string `json:"argv"`
	Dir        string   `json:"dir,omitempty"` // of the command; "" = the container's own
	// Pulls are folders that are fetched into cache volumes before the step starts.
	Pulls []Pull `json:"pulls,omitempty"`
}

// Pull is a folder that has the same path on both sides.
type Pull struct {
	Path string `json:"path"`
	// Key names its content. A volume that was filled with it once is not
	// looked through again.
	Key string `json:"key"`
}

// Answer is what Home says to everything.
type Answer struct {
	Seq  int64 `json:"seq"`  // the last event that is home
	Log  int64 `json:"log"`  // bytes of the log that are home
	Stop bool  `json:"stop"` // the step is to write a checkpoint and end
}

// Done is the relay's last word.
type Done struct {
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"` // why the step could not be started
}
