// Package adapters trains one HCL file natively and through timm, from the same
// weights and seed, and compares what a user gets to see of both.
package adapters

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/native"
	"github.com/trainwright/trainwright/adapters/native/step"
	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/adapters/timm"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/internal/cli"
)

// TestMain makes this test binary the runner, unless it is started as a test.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-test.") {
		flag.Parse()
		os.Exit(m.Run())
	}
	os.Exit(cli.Run(context.Background(), cli.Config{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ(),
		Adapters: adapters.Registry{native.Adapter{}, timm.New(python.Host{Cache: os.Getenv("XDG_CACHE_HOME")})},
		Steps:    map[string]adapters.StepFunc{native.Name: step.Run},
		Now:      time.Now,
	}))
}

//go:embed testdata/main.hcl
var pipeline []byte

// lab is a folder with data and weights in which the file is trained.
type lab struct {
	t      *testing.T
	dir    string
	python string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), python: os.Getenv("RUNNER_TEST_PYTHON")}
	if l.python == "" {
		t.Skip("needs a Python with timm, named by RUNNER_TEST_PYTHON")
	}
	if _, err := ort.Find(); err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	return l
}

// command starts this binary as the runner.
func (l *lab) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	c := exec.CommandContext(l.t.Context(), exe, args...)
	library, _ := ort.Find() // newLab has looked
	c.Env = append(os.Environ(), python.EnvPython+"="+l.python, "RUNNER_ORT_LIB="+library, "XDG_CACHE_HOME="+filepath.Join(l.dir, "cache"))
	c.Dir = l.dir
	return c
}

// run runs a command of the runner to its end.
func (l *lab) run(args ...string) {
	l.t.Helper()
	if out, err := l.command(args...).CombinedOutput(); err != nil {
		l.t.Fatalf("runner %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// weights writes timm's initial weights of resnet18 for a seed.
func (l *lab) weights(classes, seed int) string {
	l.t.Helper()
	path := filepath.Join(l.dir, fmt.Sprintf("weights-%d.safetensors", seed))
	c := exec.CommandContext(l.t.Context(), l.python, "-P", "-c", `
import sys, timm, torch
from safetensors.torch import save_file
torch.manual_seed(int(sys.argv[3]))
save_file(timm.create_model("resnet18", num_classes=int(sys.argv[2])).state_dict(), sys.argv[1])
`, path, fmt.Sprint(classes), fmt.Sprint(seed))
	if out, err := c.CombinedOutput(); err != nil {
		l.t.Fatalf("write initial weights: %v\n%s", err, out)
	}
	return path
}

// place is where the file was trained with one adapter.
type place struct {
	lab     *lab
	adapter string
	dir     string
	addr    string
}

// train trains the file with an adapter, in a folder of its own.
func (l *lab) train(adapter string, vars map[string]any) *place {
	l.t.Helper()
	p := &place{lab: l, adapter: adapter, dir: filepath.Join(l.dir, fmt.Sprint(adapter, "-", vars["seed"]))}
	err := os.MkdirAll(p.dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, "main.hcl"), pipeline, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	args := []string{"--chdir=" + p.dir, "apply", "--auto-approve", "--no-color", "--var", "adapter=" + adapter}
	for name, value := range vars {
		args = append(args, "--var", fmt.Sprintf("%s=%v", name, value))
	}
	l.run(args...)
	return p
}

// serve serves the place's state until the test ends.
func (p *place) serve() {
	t := p.lab.t
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	ln.Close()
	c := p.lab.command("--chdir="+p.dir, "serve", "--addr", p.addr)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGINT) }
	c.WaitDelay = 20 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() }) // interrupted when the test's context ended
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + p.addr + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %v\n%s", err, out.String())
		}
	}
}

// get asks the place's server.
func (p *place) get(path string) []byte {
	t := p.lab.t
	t.Helper()
	res, err := http.Get("http://" + p.addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: GET %s: %s %v %.300s", p.adapter, path, res.Status, err, text)
	}
	return text
}

func (p *place) json(path string, into any) {
	p.lab.t.Helper()
	if err := json.Unmarshal(p.get(path), into); err != nil {
		p.lab.t.Fatalf("%s: GET %s: %v", p.adapter, path, err)
	}
}
