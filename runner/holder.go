package runner

import (
	"os"
	"os/user"
	"time"

	"github.com/trainwright/trainwright/pipelines/process"
)

// NewHolder describes this process as the holder of a lock.
func NewHolder(operation string) LockHolder {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	p := process.Self()
	return LockHolder{ID: NewID(time.Now()), Host: p.Host, PID: p.PID, StartTime: p.Start, BootID: p.Boot,
		User: name, Operation: operation, Created: time.Now().UTC()}
}

// HolderGone reports, on positive evidence only, that the holder's process no
// longer exists.
func HolderGone(h LockHolder) bool {
	return process.ID{Host: h.Host, PID: h.PID, Start: h.StartTime, Boot: h.BootID}.Gone()
}

// HolderHere reports that the holder's process is one of this machine.
func HolderHere(h LockHolder) bool {
	self := process.Self()
	return h.Host == self.Host && h.BootID == self.Boot
}
