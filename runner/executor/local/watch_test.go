package local

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
)

func TestKilledWhileTheKernelFreedMemory(t *testing.T) {
	before := oomKills()
	if len(before) == 0 {
		t.Skip("this kernel tells no oom_kill counters")
	}
	for file := range before {
		before[file]-- // as if it had killed one process since
	}
	dir := t.TempDir()
	if err := writeRecord(dir, record{OOMKills: before}); err != nil {
		t.Fatal(err)
	}
	w := watch{redact: runner.NewRedactor(nil)}
	for signal, want := range map[syscall.Signal]pipelines.Cause{
		syscall.SIGKILL: pipelines.CauseOOM,
		syscall.SIGSEGV: pipelines.CauseInfrastructure,
	} {
		if err := durable.WriteJSON(filepath.Join(dir, exitFile), exitNote{Code: -1, Signal: signal}, 0o644); err != nil {
			t.Fatal(err)
		}
		if exit := w.exit(dir, runner.Job{}); exit.Cause != want {
			t.Errorf("%s: %+v, want cause %s", signal, exit, want)
		}
	}
	orphan := t.TempDir()
	if err := writeRecord(orphan, record{OOMKills: before}); err != nil {
		t.Fatal(err)
	}
	if exit := w.exit(orphan, runner.Job{}); exit.Cause != pipelines.CauseOOM || !strings.Contains(exit.Message, "memory") {
		t.Errorf("orphan: %+v", exit)
	}
}
