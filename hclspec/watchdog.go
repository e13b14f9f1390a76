package hclspec

import (
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Limits are what loading may use before the watchdog ends the process.
type Limits struct {
	CPU  time.Duration // of the whole process since the watchdog started
	Heap uint64        // bytes of live objects
}

// DefaultLimits are those of the command.
var DefaultLimits = Limits{CPU: 2 * time.Second, Heap: 512 << 20}

// current is the expression being evaluated, or the file being parsed.
var current atomic.Pointer[hcl.Range]

func watching(r hcl.Range) { current.Store(&r) }

// Watchdog ends the process with exit code 1 and a diagnostic on w that names
// the expression at work, should the process use more than limits before stop
// is called. It is the last line behind the bounds of guard and budget: a
// single call inside a library cannot be interrupted otherwise.
func Watchdog(w io.Writer, limits Limits) (stop func()) {
	done := make(chan struct{})
	started := cpuTime()
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if reason := exceeded(limits, started); reason != "" {
				fmt.Fprint(w, watchdogMessage(reason))
				os.Exit(1)
			}
		}
	}()
	var once atomic.Bool
	return func() {
		if once.CompareAndSwap(false, true) {
			close(done)
		}
	}
}

func exceeded(limits Limits, started time.Duration) string {
	if limits.CPU > 0 && cpuTime()-started > limits.CPU {
		return fmt.Sprintf("more than %s of CPU time", limits.CPU)
	}
	if limits.Heap > 0 && heapBytes() > limits.Heap {
		return fmt.Sprintf("more than %d MB of memory", limits.Heap>>20)
	}
	return ""
}

func watchdogMessage(reason string) string {
	where := "the pipeline"
	if r := current.Load(); r != nil && r.Filename != "" {
		where = fmt.Sprintf("%s:%d,%d", r.Filename, r.Start.Line, r.Start.Column)
	}
	return fmt.Sprintf("\nError: Evaluation takes too much\n\n  on %s\n\nReading and evaluating the pipeline took %s. Simplify this expression.\n", where, reason)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
