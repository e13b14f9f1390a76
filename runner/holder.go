package runner

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// NewHolder describes this process as the holder of a lock.
func NewHolder(operation string) LockHolder {
	host, _ := os.Hostname()
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	start, _ := processStart(os.Getpid())
	return LockHolder{
		ID: NewID(time.Now()), Host: host, PID: os.Getpid(), StartTime: start,
		BootID: bootID(), User: name, Operation: operation, Created: time.Now().UTC(),
	}
}

// HolderGone reports, on positive evidence only, that the holder's process no
// longer exists: it ran on this host, and the machine was booted since, or no
// process has its pid, or the one that has it was started at another time.
func HolderGone(h LockHolder) bool {
	host, err := os.Hostname()
	if err != nil || h.Host != host {
		return false
	}
	if boot := bootID(); boot != "" && h.BootID != "" && boot != h.BootID {
		return true
	}
	start, known := processStart(h.PID)
	if !known {
		return false
	}
	return start == "" || (h.StartTime != "" && start != h.StartTime)
}

// bootID identifies this boot of the machine; "" where the kernel has none.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// processStart is a process's start time as the kernel counts it (clock ticks
// since boot, field 22 of proc/PID/stat). It is "" when no such process
// exists; known is false where that cannot be told.
func processStart(pid int) (start string, known bool) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return "", false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if os.IsNotExist(err) {
		return "", true
	}
	if err != nil {
		return "", false
	}
	// The command's name stands in parentheses and may hold anything.
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 20 {
		return "", false
	}
	if fields[0] == "Z" || fields[0] == "X" { // a zombie holds nothing
		return "", true
	}
	return fields[19], true
}
