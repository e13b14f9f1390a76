package s3_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/trainwright/trainwright/runner/blob/s3"
)

const remotePipeline = `
pipeline "p" {}
variable "server" {
  type = string
}
executor "remote" "box" {
  url   = var.server
  token = secret("BOX_TOKEN")
}
dataset "glyphs" {
  format = "imagefolder"
  path   = "s3://models/sets/glyphs.tar.gz"
}
model "m" {
  adapter = "native"
  name    = "convnet"
  task    = "image_classification"
}
train "base" {
  model      = model.m
  dataset    = dataset.glyphs
  epochs     = 1
  batch_size = 32
  executor   = executor.remote.box
}
`

var servedAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts `runner serve` and returns its address.
func serve(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(programs.runner, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Stderr = t.TempDir(), os.Stderr
	cmd.Env = append(env, "RUNNER_TOKEN=a-write-token-of-the-test", "XDG_CACHE_HOME="+filepath.Join(cmd.Dir, "cache"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // Wait tells what came of it
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	at := servedAt.FindString(first)
	if at == "" {
		t.Fatalf("serve said %q: %v", first, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return at
}

// A step on another machine's server reads its dataset from the bucket there,
// if that server's operator allows it.
func TestRemoteReadsTheBucket(t *testing.T) {
	server := startServer(t)
	archive := filepath.Join(t.TempDir(), "glyphs.tar.gz")
	folder := glyphs(t)
	if out, err := exec.Command("tar", "-czf", archive, "-C", filepath.Dir(folder), "glyphs").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	if err := server.open(t, s3.Config{}).Put(t.Context(), "sets/glyphs.tar.gz", archive); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, server, "")
	m.env = append(m.env, "BOX_TOKEN=a-write-token-of-the-test")
	if err := os.WriteFile(filepath.Join(m.dir, "main.hcl"), []byte(remotePipeline), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := m.command("apply", "--auto-approve", "--var", "server="+serve(t, m.env))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--allow-bucket") {
		t.Errorf("a server that allows no bucket: %v\n%s", err, out)
	}
	out := m.run("apply", "--auto-approve", "--var", "server="+serve(t, m.env, "--allow-bucket", "models"))
	if !strings.Contains(out, "train.base: completed") {
		t.Errorf("apply:\n%s", out)
	}
	if found, err := filepath.Glob(filepath.Join(m.dir, ".runner/runs/*/artifacts/model.onnx")); err != nil || len(found) != 1 {
		t.Errorf("the model is not here: %v", err)
	}
}
