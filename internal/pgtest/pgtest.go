// Package pgtest runs a PostgreSQL server of its own for a test: Debian's
// programs, a folder of its own, a Unix socket. The server refuses to run as
// root, so a root's test runs it as another user.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server that lives as long as its test.
type Server struct {
	dying []string // children of a killed server, by process id
	bin   string
	dir   string // data and socket
	who   *syscall.Credential
	keep  io.Closer // when it closes, the server stops
	cmd   *exec.Cmd
	made  atomic.Int64
}

// Start makes an empty server that stops with the test, or skips the test and
// says what is missing. Options are settings, as in "fsync=on"; without that
// one nothing is synced.
func Start(tb testing.TB, options ...string) *Server {
	tb.Helper()
	if err := Missing(); err != nil {
		tb.Skipf("no PostgreSQL server for this test: %v", err)
	}
	s, err := New(options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// New is Start for what is no test; the caller closes the server.
func New(options ...string) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.setUp(options); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) setUp(options []string) error {
	if out, err := s.command("initdb", "-D", s.data(), "-U", "trainwright", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	settings := append([]string{"fsync=off", "listen_addresses=''", "unix_socket_directories='" + s.dir + "'", "max_connections=100"}, options...)
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("\n" + strings.Join(settings, "\n") + "\n")
	if err := errors.Join(err, conf.Close()); err != nil {
		return err
	}
	return s.Up()
}

// Close stops the server and removes what it kept.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// Missing says why there can be no server here; nil where there can be one.
func Missing() error {
	_, err := programs()
	if err == nil && os.Getuid() == 0 {
		_, err = account()
	}
	return err
}

// programs finds the folder of the newest programs.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("initdb is neither in /usr/lib/postgresql/*/bin nor in PATH; Debian's package postgresql has it")
}

// account finds a user who is not root.
func account() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers on Unix
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("the test runs as root, the server must not, and there is neither a user postgres nor nobody")
}

// prepare finds the programs, and makes a folder for the user who runs them.
func prepare() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // a short path: that of a socket is limited
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if os.Getuid() == 0 {
		if s.who, err = account(); err == nil {
			err = errors.Join(os.Chown(dir, int(s.who.Uid), int(s.who.Gid)), os.Chmod(dir, 0o755))
		}
	}
	if err != nil {
		s.Close()
	}
	return s, err
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // 0 sorts first
	return n
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who, Setpgid: true}
	return cmd
}

// Up starts the server and waits until it answers.
func (s *Server) Up() error {
	s.buried()
	// The shell stops the server when its input ends, also when the test was killed.
	cmd := s.command("postgres")
	cmd.Path = "/bin/sh"
	cmd.Args = []string{"sh", "-c", `"$0" -D "$1" </dev/null & pid=$!; cat >/dev/null; kill -INT $pid 2>/dev/null; wait $pid`, filepath.Join(s.bin, "postgres"), s.data()}
	keep, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return err
	}
	s.keep, s.cmd = keep, cmd
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = s.answers(); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(file.Name()) // what there is
			return fmt.Errorf("the server does not answer: %w\n%s", err, text)
		}
	}
}

func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (s *Server) url(database string) string {
	return "postgres://trainwright:not-asked-for@/" + database + "?host=" + url.QueryEscape(s.dir)
}

// Database makes an empty database and returns its address, which has a password.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	address, err := s.NewDatabase()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// NewDatabase is Database for what is no test.
func (s *Server) NewDatabase() (string, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	name := fmt.Sprintf("db%d", s.made.Add(1))
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return s.url(name), err
}

// Stop asks the server to stop at once; transactions that are open fail.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.keep.Close()
	_ = s.cmd.Wait() // its exit status tells how it was stopped, which is known
	s.cmd = nil
}

// buried waits until the children of a killed server have seen that it is gone
// and have ended: as long as one holds the shared memory, no new server starts.
func (s *Server) buried() {
	for _, child := range s.dying {
		for range 600 {
			if _, err := os.Stat("/proc/" + child); err != nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	s.dying = nil
}

// Kill ends the server with SIGKILL, as the kernel does when memory runs out.
func (s *Server) Kill() error {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid < 2 {
		return fmt.Errorf("postmaster.pid: %q", text)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	s.Stop()
	s.dying = strings.Fields(string(children))
	return nil
}
