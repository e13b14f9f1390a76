package serve

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/runner/client"
)

const token = "token-of-the-serve-tests"

// site is a folder with a state and data, in which servers are started.
type site struct {
	t     *testing.T
	dir   string
	store string // as --store takes it
	addr  string
	env   []string
	cmd   *exec.Cmd
	log   *os.File
	c     *client.Client
}

func newSite(t *testing.T, store string, env ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), store: store}
	if s.store == "" {
		s.store = filepath.Join(s.dir, ".runner", "state.db")
	}
	s.env = append(os.Environ(), append([]string{"RUNNER_TOKEN=" + token, "XDG_CACHE_HOME=" + filepath.Join(s.dir, "cache"), "SERVE_TEST_SITE=" + s.dir}, env...)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	ln.Close()
	if s.log, err = os.Create(filepath.Join(s.dir, "serve.log")); err != nil {
		t.Fatal(err)
	}
	if s.c, err = client.New("http://"+s.addr, token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(s.log.Name()) // what there is
			t.Logf("log of the server:\n%s", text[max(0, len(text)-8000):])
		}
		for _, p := range s.processes() {
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended
		}
		if s.cmd != nil {
			_ = s.cmd.Wait()
		}
		s.log.Close()
	})
	return s
}

// images makes a data set of the smallest kind under data/.
func (s *site) images() {
	s.t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, split := range []string{"train", "val"} {
		for _, class := range []string{"a", "b"} {
			dir := filepath.Join(s.dir, "data", split, class)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				s.t.Fatal(err)
			}
			for i := range 4 {
				img := image.NewGray(image.Rect(0, 0, 8, 8))
				for j := range img.Pix {
					img.Pix[j] = byte(rng.IntN(256))
				}
				var b bytes.Buffer
				if err := png.Encode(&b, img); err != nil {
					s.t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)+".png"), b.Bytes(), 0o644); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
}

// start starts a server and waits until it answers.
func (s *site) start(args ...string) {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(exe, append([]string{"serve", "--addr", s.addr, "--store", s.store, "--default-framework", "fake", "--data-root", s.dir, "--lease", "2s"}, args...)...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.dir, s.env, s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		s.c.Patience = time.Millisecond
		var status struct{ State string }
		err := s.c.Get(ctx, "/api/v1/status", &status)
		cancel()
		s.c.Patience = 0
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the server does not answer: %v", err)
		}
	}
}

// kill ends the server at once.
func (s *site) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// process is one that a server of this site started.
type process struct {
	pid  int
	role string // serve, work, step
}

// processes lists those of this site that live.
func (s *site) processes() []process {
	var out []process
	procs, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", p.Name(), "environ"))
		if err != nil || !bytes.Contains(env, []byte("SERVE_TEST_SITE="+s.dir+"\x00")) {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", p.Name(), "cmdline"))
		args := bytes.Split(line, []byte{0})
		if err != nil || len(args) < 2 {
			continue
		}
		out = append(out, process{pid, string(args[1])})
	}
	return out
}
