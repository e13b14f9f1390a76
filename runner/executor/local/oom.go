package local

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines/spool"
)

// oomKills reads the kernel's counters of processes killed for lack of
// memory: of this process's control group, which steps inherit, and of the
// whole machine. A counter that cannot be read is left out.
func oomKills() map[string]int64 {
	files := []string{"/proc/vmstat"}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[1] == "":
			files = append(files, groupFiles("/sys/fs/cgroup", f[2], "memory.events")...)
		case f[1] == "memory":
			files = append(files, groupFiles("/sys/fs/cgroup/memory", f[2], "memory.oom_control")...)
		}
	}
	counts := map[string]int64{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
				if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
					counts[file] = n
				}
			}
		}
	}
	return counts
}

// groupFiles are the places of a group's file: inside a container the group's
// own folder is often mounted as the root.
func groupFiles(root, group, name string) []string {
	return []string{filepath.Join(root, group, name), filepath.Join(root, name)}
}

// oomSince reports that a counter has grown.
func oomSince(before map[string]int64) bool {
	now := oomKills()
	for file, n := range before {
		if now[file] > n {
			return true
		}
	}
	return false
}

// outOfMemory is what allocators and frameworks print before they give up.
var outOfMemory = []string{
	"out of memory", "Out of memory", "OutOfMemoryError", "MemoryError", "std::bad_alloc",
	"Cannot allocate memory", "cannot allocate memory", "Failed to allocate memory",
}

// goCrash is what a Go program prints when a fault in native code ends it.
var goCrash = []string{"SIGSEGV: ", "SIGBUS: ", "SIGABRT: ", "SIGILL: ", "SIGFPE: ", "fatal error: "}

// logSays looks for any of the words near the end of the step's log.
func logSays(dir string, words []string) bool {
	tail := lastLines(filepath.Join(dir, spool.LogFile), 1000, 64<<10)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(tail, w) })
}
