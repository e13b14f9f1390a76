package process_test

import (
	"os/exec"
	"testing"

	"github.com/trainwright/trainwright/pipelines/process"
)

func TestGone(t *testing.T) {
	self := process.Self()
	if self.Gone() {
		t.Errorf("this process is said to be gone: %+v", self)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := process.Of(cmd.Process.Pid)
	if child.Gone() {
		t.Errorf("a live child is said to be gone: %+v", child)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !child.Gone() {
		t.Errorf("a dead child is not said to be gone: %+v", child)
	}
	if self.Start != "" {
		reused := self
		reused.Start = "1"
		if !reused.Gone() {
			t.Error("a reused pid counts as the old process")
		}
	}
	if other := (process.ID{Host: "elsewhere", PID: 1, Boot: "x"}); other.Gone() {
		t.Error("a process of another machine is said to be gone")
	}
}
