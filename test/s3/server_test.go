// Package s3_test holds what is kept in object storage against a real S3
// gateway: signatures, multipart uploads, ranges and all.
package s3_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/s3"
)

// programs are built once for all tests.
var programs struct{ gateway, runner string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "s3test")
	if err != nil {
		panic(err)
	}
	programs.gateway = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", programs.gateway, "./gateway")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("the gateway does not build: %v\n%s", err, out)
		os.Exit(1)
	}
	programs.runner = filepath.Join(dir, "runner")
	build = exec.Command("go", "build", "-buildvcs=false", "-o", programs.runner, "./cmd/runner")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("the runner does not build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is a gateway that can be stopped and started again at its address.
type server struct {
	t       *testing.T
	address string
	folder  string
	cmd     *exec.Cmd
}

func startServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: l.Addr().String(), folder: t.TempDir()}
	l.Close()
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(programs.gateway, s.address, s.folder)
	s.cmd.Stdout, s.cmd.Stderr = os.Stderr, os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 200 {
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatal("the gateway does not listen")
}

// stop kills the gateway: an outage.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) endpoint() string { return "http://" + s.address }

// env is the environment that makes the runner use the gateway.
func (s *server) env() []string {
	return []string{"R2_ENDPOINT=" + s.endpoint(), "R2_ACCESS_KEY_ID=access", "R2_SECRET_ACCESS_KEY=secret"}
}

func (s *server) open(t *testing.T, c s3.Config) *s3.Blobs {
	t.Helper()
	c.Bucket, c.Endpoint, c.Region = "models", s.endpoint(), "us-east-1"
	if c.AccessKeyID == "" {
		c.AccessKeyID, c.SecretAccessKey = "access", "secret"
	}
	c.Getenv = func(string) string { return "" }
	b, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var _ runner.Blobs = (*s3.Blobs)(nil)
