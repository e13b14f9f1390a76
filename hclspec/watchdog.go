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
	return Watch(limits, func(d *hcl.Diagnostic) {
		where := "the pipeline"
		if d.Subject != nil {
			where = fmt.Sprintf("%s:%d,%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		fmt.Fprintf(w, "\nError: %s\n\n  on %s\n\n%s\n", d.Summary, where, d.Detail)
	})
}

// Watch is Watchdog with a report of one's own: the process ends with exit
// code 1 once it returns.
func Watch(limits Limits, report func(*hcl.Diagnostic)) (stop func()) {
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
				report(tooMuch(reason))
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

func tooMuch(reason string) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Evaluation takes too much",
		Detail: fmt.Sprintf("Reading and evaluating the pipeline took %s. Simplify this expression.", reason)}
	if r := current.Load(); r != nil && r.Filename != "" {
		at := *r
		d.Subject = &at
	}
	return d
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
