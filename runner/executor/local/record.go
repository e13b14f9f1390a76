package local

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/process"
)

const (
	recordFile = "process.json"
	stopFile   = "stop.json"
	exitFile   = "exit.json"
)

// record is process.json.
type record struct {
	Process  process.ID       `json:"process"`
	Runner   process.ID       `json:"runner"` // its parent
	Started  time.Time        `json:"started"`
	OOMKills map[string]int64 `json:"oom_kills,omitempty"` // kernel counters at the start
}

// elsewhere reports that the lock of this folder may not tell of that process.
func (r record) elsewhere() bool {
	self := process.Self()
	return r.Process.Host != self.Host && r.Process.Boot != self.Boot
}

// stopNote is stop.json: the first who asked the step to stop.
type stopNote struct {
	Reason string    `json:"reason"` // cancel | timeout
	Time   time.Time `json:"time"`
	Killed bool      `json:"killed,omitempty"` // it did not stop in time
}

const (
	stopCancel  = "cancel"
	stopTimeout = "timeout"
)

// exitNote is exit.json.
type exitNote struct {
	Code   int            `json:"code"`
	Signal syscall.Signal `json:"signal,omitempty"`
}

func exitOf(s *os.ProcessState) exitNote {
	if s == nil {
		return exitNote{Code: -1}
	}
	n := exitNote{Code: s.ExitCode()}
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		n.Signal = ws.Signal()
	}
	return n
}

func writeRecord(dir string, r record) error {
	return durable.WriteJSON(filepath.Join(dir, recordFile), r, 0o644)
}

func readRecord(dir string) (record, bool, error) {
	var r record
	ok, err := durable.ReadJSON(filepath.Join(dir, recordFile), &r)
	return r, ok, err
}

func readExit(dir string) (exitNote, bool) {
	var n exitNote
	ok, err := durable.ReadJSON(filepath.Join(dir, exitFile), &n)
	return n, ok && err == nil
}

func readStop(dir string) (stopNote, bool) {
	var n stopNote
	ok, err := durable.ReadJSON(filepath.Join(dir, stopFile), &n)
	return n, ok && err == nil
}
