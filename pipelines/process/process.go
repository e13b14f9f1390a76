// Package process names a process so that another one can tell, later,
// whether that very process still lives: a pid alone is reused.
package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ID is a process on a machine. Start and Boot are "" where the system does
// not tell them.
type ID struct {
	Host  string `json:"host"`
	PID   int    `json:"pid"`
	Start string `json:"start_time"` // clock ticks since boot, as the kernel counts
	Boot  string `json:"boot_id"`
}

// Self returns this process.
func Self() ID { return Of(os.Getpid()) }

// Of returns the process of that pid on this machine.
func Of(pid int) ID {
	host, _ := os.Hostname()
	return ID{Host: host, PID: pid, Start: startTime(pid), Boot: bootID()}
}

// Gone reports positive evidence that the process has ended. It is false
// while the process lives, and also when nothing is known, as for a process
// of another machine.
func (id ID) Gone() bool {
	host, _ := os.Hostname()
	sameBoot := id.Boot != "" && id.Boot == bootID()
	if !sameBoot {
		// Another kernel: a reboot of this machine ends everything, another machine tells nothing.
		return id.Host == host && id.Boot != "" && bootID() != ""
	}
	if id.Host != host {
		return false // a container beside this one counts pids of its own
	}
	if errors.Is(syscall.Kill(id.PID, 0), syscall.ESRCH) {
		return true
	}
	return id.Start != "" && startTime(id.PID) != id.Start
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// startTime reads field 22 of /proc/PID/stat; the second field, the command,
// may hold spaces and brackets, so it counts from the last bracket.
// A zombie has none: its work has ended.
func startTime(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	s := string(b)
	i := strings.LastIndexByte(s, ')')
	if i < 0 {
		return ""
	}
	f := strings.Fields(s[i+1:])
	if len(f) < 20 || f[0] == "Z" {
		return ""
	}
	return f[19]
}
