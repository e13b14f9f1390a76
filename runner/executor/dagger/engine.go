package dagger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	sdk "dagger.io/dagger"
	"dagger.io/dagger/engineconn"

	"github.com/trainwright/trainwright/pipelines"
)

// Environment variables with which Dagger's own tools find an engine.
const (
	EnvSessionPort = "DAGGER_SESSION_PORT"
	EnvCLI         = "_EXPERIMENTAL_DAGGER_CLI_BIN"
	EnvRunnerHost  = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
)

const install = "install Dagger " + Version + " (https://docs.dagger.io/install), or set " + EnvCLI + " to its dagger program; " +
	"the engine is a container that it starts with Docker, or the one that " + EnvRunnerHost + " names"

// connect finds an engine as Dagger's own tools do: a session of the
// environment, else the dagger program, which finds or starts the engine.
// Unlike the SDK it downloads nothing, and the program that it starts is not
// reached by a signal to this process's group.
func connect(ctx context.Context, log io.Writer) (*sdk.Client, *traced, error) {
	conn, err := dial(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	client, err := sdk.Connect(ctx, sdk.WithConn(conn))
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	v, err := client.Version(ctx)
	if err != nil {
		return nil, nil, errors.Join(pipelines.Errorf(pipelines.CodeUnavailable, "the Dagger engine does not answer: %w", err), client.Close())
	}
	if !speaks(v) {
		return nil, nil, errors.Join(pipelines.Errorf(pipelines.CodeInvalid,
			"the Dagger engine is %s, and this runner speaks %s; %s", v, Version, install), client.Close())
	}
	return client, conn, nil
}

// speaks reports that an engine's version is ours in its first two parts.
// The calls used here differ between such versions.
func speaks(v string) bool {
	ours := Version[:strings.LastIndexByte(Version, '.')+1]
	return strings.HasPrefix("v"+strings.TrimPrefix(v, "v"), ours)
}

func dial(ctx context.Context, log io.Writer) (*traced, error) {
	conn, ok, err := engineconn.FromSessionEnv()
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "the Dagger session of the environment (%s) cannot be used: %w", EnvSessionPort, err)
	}
	if ok {
		return newTraced(conn)
	}
	program, err := findCLI()
	if err != nil {
		return nil, err
	}
	if conn, err = startSession(ctx, program, log); err != nil {
		return nil, err
	}
	return newTraced(conn)
}

// findCLI finds the dagger program.
func findCLI() (string, error) {
	if p := os.Getenv(EnvCLI); p != "" {
		if _, err := os.Stat(p); err != nil {
			return "", pipelines.Errorf(pipelines.CodeInvalid, "%s names %s, which cannot be used: %w", EnvCLI, p, err)
		}
		return p, nil
	}
	p, err := exec.LookPath("dagger")
	if err != nil {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "there is no dagger program on this machine; %s", install)
	}
	return p, nil
}

// session is the connection through a dagger program of our own.
type session struct {
	http.Client
	params engineconn.ConnectParams
	stdin  io.Closer
	ended  chan struct{}
}

var _ engineconn.EngineConn = (*session)(nil)

// Host is the address of the session.
func (s *session) Host() string { return fmt.Sprintf("127.0.0.1:%d", s.params.Port) }

// Close ends the session; the program goes once it has written its log.
func (s *session) Close() error {
	err := s.stdin.Close()
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		return errors.Join(err, errors.New("the dagger program did not end within 10 s"))
	}
	return err
}

func startSession(ctx context.Context, program string, log io.Writer) (*session, error) {
	cmd := exec.Command(program, "session", "--label", "dagger.io/sdk.name:go", "--label", "dagger.io/sdk.version:"+strings.TrimPrefix(Version, "v"))
	tail := &tailWriter{}
	cmd.Stderr = io.MultiWriter(log, tail)
	// It ends when its standard input does, which is when this process ends, however it ends.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "start %s: %w", program, err)
	}
	s := &session{stdin: stdin, ended: make(chan struct{})}
	first := make(chan error, 1)
	go func() {
		defer close(s.ended)
		r := bufio.NewReader(stdout)
		line, err := r.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &s.params)
		}
		first <- err
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait() // its words are in the log
	}()
	select {
	case err = <-first:
	case <-ctx.Done():
		if err = ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not answer in time")
		}
	case <-time.After(5 * time.Minute):
		err = errors.New("no session within 5 minutes")
	}
	if err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there is no session to end well
		_ = s.Close()                                       // the error that counts is the first
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "%s reached no Dagger engine (%w); %s.\n%s", program, err, install, tail.String())
	}
	plain := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	s.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		r.SetBasicAuth(s.params.SessionToken, "")
		return plain.RoundTrip(r)
	})
	return s, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tailWriter keeps the last bytes written to it.
type tailWriter struct {
	mu sync.Mutex
	b  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-2048):]
	return len(p), nil
}

func (t *tailWriter) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(t.b), "?"))
}
