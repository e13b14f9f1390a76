package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// watch remembers what decides how an attempt's end is told.
type watch struct {
	redact runner.Redactor
	result *pipelines.StepResult
	broken []string // lines of the spool that are no events
}

// see takes note of the result and keeps secrets out of texts.
func (w *watch) see(events []pipelines.Event) []pipelines.Event {
	w.redact.Events(events)
	for _, e := range events {
		if e.Result != nil {
			w.result = e.Result
		}
	}
	return events
}

func (w *watch) bad(err *spool.LineError) {
	if len(w.broken) < 5 {
		w.broken = append(w.broken, w.redact.Text(err.Error()))
	}
}

// exit tells how the attempt ended. Cause is set only where the executor
// knows more than the step's own result.
func (w *watch) exit(dir string, job runner.Job) runner.Exit {
	note, known := readExit(dir)
	if !known {
		note = exitNote{Code: -1}
	}
	out := runner.Exit{Code: note.Code, Unseen: !known && w.result == nil}
	if note.Signal != 0 {
		out.Signal = note.Signal.String()
	}
	why := ""
	out.Cause, why = w.classify(dir, job, note, known)
	if why == "" {
		return out
	}
	parts := append([]string{why}, w.broken...)
	if tail := w.redact.Text(lastLines(filepath.Join(dir, spool.LogFile), 12, 4096)); tail != "" {
		parts = append(parts, "The last lines of "+filepath.Join(dir, spool.LogFile)+":\n"+tail)
	}
	out.Message = strings.Join(parts, "\n")
	return out
}

func (w *watch) classify(dir string, job runner.Job, note exitNote, known bool) (pipelines.Cause, string) {
	stop, stopped := readStop(dir)
	switch {
	case w.result != nil && w.result.State == pipelines.StatusCompleted:
		return "", ""
	case stopped && stop.Reason == stopTimeout:
		return pipelines.CauseTimeout, fmt.Sprintf("the attempt ran longer than its timeout of %s and was stopped", job.Timeout)
	case w.result != nil && w.result.State == pipelines.StatusCancelled:
		return "", "the step was stopped and wrote what it had"
	case w.result != nil:
		return "", w.result.Error
	case stopped && stop.Killed:
		return "", fmt.Sprintf("the step did not stop within %s of being asked to and was killed", job.Grace)
	case stopped:
		return "", "the step was stopped before it could report a result"
	}
	signal := note.Signal
	if note.Code > 128 && note.Code < 128+32 { // as a shell tells it
		signal = syscall.Signal(note.Code - 128)
	}
	rec, _, _ := readRecord(dir)
	oom := oomSince(rec.OOMKills)
	switch {
	case (signal == syscall.SIGKILL || !known) && oom:
		return pipelines.CauseOOM, "the step was killed while the kernel killed processes for lack of memory; lower batch_size or num_workers, or give it more memory"
	case !known:
		return pipelines.CauseInfrastructure, "the step's process ended without a result while no runner watched it"
	case signal == syscall.SIGKILL:
		return pipelines.CauseInfrastructure, "the step was killed from outside (SIGKILL); the kernel counted no kill for lack of memory"
	case signal == syscall.SIGTERM || signal == syscall.SIGINT || signal == syscall.SIGHUP:
		return pipelines.CausePreempted, fmt.Sprintf("the step was stopped from outside (%s)", signal)
	case signal != 0:
		return pipelines.CauseInfrastructure, fmt.Sprintf("the step's process crashed (%s)", signal)
	case note.Code == 0:
		return pipelines.CauseUser, "the step ended with exit code 0, but reported no result"
	case logSays(dir, outOfMemory):
		return pipelines.CauseOOM, fmt.Sprintf("the step ran out of memory (exit code %d); lower batch_size, or give it more memory", note.Code)
	}
	if note.Code == 2 && logSays(dir, goCrash) {
		return pipelines.CauseInfrastructure, "the step's process crashed"
	}
	return pipelines.CauseUser, fmt.Sprintf("the step ended with exit code %d and no result", note.Code)
}

// lastLines returns the last n lines of a file, at most limit bytes.
func lastLines(path string, n int, limit int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	buf := make([]byte, min(limit, st.Size()))
	k, _ := f.ReadAt(buf, st.Size()-int64(len(buf)))
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(string(buf[:k]), "?"), "\n"), "\n")
	if int64(k) < st.Size() && len(lines) > 1 {
		lines = lines[1:] // cut off in front
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
