package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/test/kubernetes/cluster"
)

const commands = `
pipeline "commands" {}

step "prepare" {
  image   = "registry.invalid/tools:1"
  command = ["sh", "-c", "echo cleaning $(ls /inputs/raw) && echo secret is $TOKEN && mkdir /outputs/clean && cp /inputs/raw/* /outputs/clean/ && cp /inputs/note /outputs/list && touch /inputs/raw/x; test ! -e /inputs/raw/x"]
  inputs  = { raw = "raw", note = "note.txt" }
  outputs = { clean = "data/clean", list = "data/list.txt" }
  env     = { TOKEN = secret("TOKEN") }
}

step "count" {
  image   = "registry.invalid/tools:1"
  command = ["sh", "-c", "ls /inputs/clean | wc -l > /outputs/n; printf 'no newline at the end'"]
  inputs  = { clean = step.prepare.outputs.clean }
  outputs = { n = "data/n.txt" }
}
`

// TestCommands runs step blocks as Jobs: inputs and outputs by the volume, the
// output of the command in the log, an unchanged step reused.
func TestCommands(t *testing.T) {
	needCluster(t)
	if err := cluster.Mounts(); err != nil {
		t.Skip(err)
	}
	s := newSite(t, commands+block(t))
	s.env = []string{"TOKEN=c4n4ry-s3cr3t"}
	for name, text := range map[string]string{"raw/ü 1.txt": "one", "raw/2.txt": "two", "note.txt": "a note"} {
		at := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.apply()
	for name, want := range map[string]string{"data/clean/ü 1.txt": "one", "data/clean/2.txt": "two", "data/list.txt": "a note", "data/n.txt": "2"} {
		got, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	runs, _ := s.runs()
	for address, want := range map[pipelines.Address]string{"step.prepare": "cleaning 2.txt ü 1.txt\nsecret is (sensitive)\n", "step.count": "no newline at the end\n"} {
		got, err := os.ReadFile(filepath.Join(runs[address].Dir, "attempts", "1", "output.log"))
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s said %q, %v; want %q", address, got, err, want)
		}
		if left, _ := filepath.Glob(filepath.Join(runs[address].Dir, "attempts", "1", "outputs")); len(left) > 0 {
			t.Errorf("%s left %v", address, left)
		}
	}
	if lock, err := os.ReadFile(filepath.Join(s.dir, ".runner.lock.hcl")); err != nil || !strings.Contains(string(lock), "registry.invalid/tools:1@sha256:") {
		t.Errorf("the image is not pinned (%v):\n%s", err, lock)
	}
	if out := s.apply(); !strings.Contains(out, "No changes") {
		t.Errorf("an unchanged step is not reused:\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "note.txt"), []byte("another note"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.apply()
	if got, err := os.ReadFile(filepath.Join(s.dir, "data/list.txt")); err != nil || string(got) != "another note" {
		t.Errorf("after a change: %q, %v", got, err)
	}
}

// TestCommandEnds: how a step block's end is told.
func TestCommandEnds(t *testing.T) {
	needCluster(t)
	if err := cluster.Mounts(); err != nil {
		t.Skip(err)
	}
	s := newSite(t, `
pipeline "ends" {}
step "wrong" {
  command = ["sh", "-c", "echo gone wrong; exit 7"]
}
step "missing" {
  command = ["sh", "-c", "true"]
  outputs = { there = "data/there" }
}
step "absent" {
  command = ["no-such-program"]
}
step "slow" {
  command = ["sleep", "60"]
  timeout = "2s"
}
`+block(t))
	cmd, out := s.runner("apply", "--auto-approve")
	if err := cmd.Wait(); err == nil {
		t.Fatalf("it ended well:\n%s", out)
	}
	runs, attempts := s.runs()
	for address, want := range map[pipelines.Address]struct {
		cause pipelines.Cause
		text  string
	}{
		"step.wrong":   {pipelines.CauseUser, "exit status 7"},
		"step.missing": {pipelines.CauseUser, "wrote nothing to /outputs/there"},
		"step.absent":  {pipelines.CauseConfig, "no-such-program"},
		"step.slow":    {pipelines.CauseTimeout, "timeout of 2s"},
	} {
		r := runs[address]
		if r.Status != pipelines.StatusFailed || r.Cause != want.cause || !strings.Contains(r.Error, want.text) || len(attempts[r.ID]) != 1 {
			t.Errorf("%s: %s, %s: %s; %s", address, r.Status, r.Cause, r.Error, fmt.Sprint(attempts[r.ID]))
		}
	}
}
