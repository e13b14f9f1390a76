package submit

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// Apply sets the limits on this process: the child's first act, before it
// reads anything. Threads of libraries count too, which is why the memory
// limit is on writable memory and not on addresses, of which Go reserves many.
func (l Limits) Apply() error {
	cpu := uint64(l.CPU.Seconds()) + 1
	for _, r := range []struct {
		what     int
		cur, max uint64
	}{
		{syscall.RLIMIT_CPU, cpu, cpu + 1},
		{syscall.RLIMIT_DATA, l.Memory, l.Memory},
		{syscall.RLIMIT_CORE, 0, 0},
		{syscall.RLIMIT_FSIZE, 1 << 30, 1 << 30},
	} {
		if err := syscall.Setrlimit(r.what, &syscall.Rlimit{Cur: r.cur, Max: r.max}); err != nil {
			return fmt.Errorf("limits of the evaluation: %w", err)
		}
	}
	debug.SetMemoryLimit(int64(l.Memory) * 3 / 4)
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10) // the server goes first; without it all still works
	time.AfterFunc(l.Wall, func() { os.Exit(1) })        // should the server be gone
	return nil
}
