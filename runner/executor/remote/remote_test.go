package remote_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/executor/remote"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
	"github.com/trainwright/trainwright/runner/store/sqlite"
	"github.com/trainwright/trainwright/web"
)

func TestMain(m *testing.M) {
	executortest.Main()
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "remote":
			os.Exit(remote.Drive(context.Background(), os.Args[2]))
		case "trainer":
			os.Exit(spool.RunStep(context.Background(), os.Args[2], func(pipelines.Task) (spool.StepFunc, error) { return trainer, nil }))
		}
	}
	if len(os.Args) == 5 && os.Args[1] == "follow" {
		executortest.Follow(executorOf(os.Args[2], os.Args[3]), os.Args[4])
	}
	os.Exit(m.Run())
}

const token = "a-write-token-of-the-test"

// machine is the server of a test: a real one, on loopback.
type machine struct {
	t     *testing.T
	state string // its folder
	data  string // that it lends
	URL   string
	ln    net.Listener
	stop  func()
}

func newMachine(t *testing.T, scripts string) *machine {
	m := &machine{t: t, state: t.TempDir(), data: t.TempDir()}
	m.start("127.0.0.1:0", scripts)
	t.Cleanup(func() { m.stop() })
	return m
}

// start begins to serve, at the same address as before a stop.
func (m *machine) start(addr, scripts string) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	store, err := sqlite.Open(ctx, filepath.Join(m.state, "state.db"))
	if err != nil {
		m.t.Fatal(err)
	}
	h := host.New(ctx, host.Config{
		Dir: filepath.Join(m.state, "remote"), Executor: &local.Executor{Poll: 10 * time.Millisecond}, Adapters: adapters.Registry{scripted{scripts}},
		Datasets: samples{filepath.Join(m.state, "fetched")}, Root: m.data, Place: func(path string) (string, error) {
			if strings.Contains(path, "://") {
				return path, nil
			}
			return filepath.Join(m.data, path), nil
		},
		Env: []string{"FROM_STEP", "FROM_SECRET", "TOKEN"},
	})
	given, err := web.GivenToken("test", web.ScopeWrite, token)
	if err != nil {
		m.t.Fatal(err)
	}
	server, err := web.New(web.Config{Store: store, Control: &runner.Applier{}, Adapters: adapters.Registry{}, Tokens: web.Tokens{given}, Tasks: h, Drain: time.Second})
	if err != nil {
		m.t.Fatal(err)
	}
	if m.ln, err = net.Listen("tcp", addr); err != nil {
		m.t.Fatal(err)
	}
	m.URL = "http://" + m.ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, m.ln) }()
	m.stop = func() {
		cancel()
		h.Wait()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
		if err := store.Close(); err != nil {
			m.t.Error(err)
		}
	}
}

// scripted is an adapter whose steps do what a file beside says: the suite
// says it in the job's command, which does not travel.
type scripted struct{ dir string }

func (scripted) Info() adapters.Info            { return adapters.Info{Name: "executortest"} }
func (scripted) Models(string) []adapters.Model { return nil }
func (scripted) Schema(string) (schema.Schema, schema.Presets, bool) {
	return schema.Schema{}, nil, false
}

func (s scripted) Command(_ context.Context, path string) (c adapters.Command, err error) {
	run := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(path))))
	text, err := os.ReadFile(filepath.Join(s.dir, run+".json"))
	if err != nil {
		return c, err
	}
	err = json.Unmarshal(text, &c)
	for i, arg := range c.Argv {
		if filepath.Base(arg) == spool.TaskFile {
			c.Argv[i] = path
		}
	}
	return c, err
}

// told is an executor that leaves its jobs' commands where scripted finds them.
type told struct {
	*remote.Executor
	dir string
}

func (x told) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	text, err := json.Marshal(job.Command)
	if err == nil {
		err = os.WriteFile(filepath.Join(x.dir, job.Task.RunID+".json"), text, 0o600)
	}
	if err != nil {
		return runner.Exit{}, err
	}
	return x.Executor.Run(ctx, job, sink)
}

func executorOf(url, scripts string) told {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return told{&remote.Executor{Config: remote.Config{URL: url, Token: pipelines.NewSecret(token), Root: "/data"}, Host: &local.Executor{Poll: 10 * time.Millisecond}, Program: exe}, scripts}
}

func TestExecutor(t *testing.T) {
	t.Setenv("RUNNER_TOKEN", "not for steps")
	t.Setenv("DATABASE_URL", "not for steps either")
	scripts := t.TempDir()
	m := newMachine(t, scripts)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("suite", func(t *testing.T) {
		executortest.Run(t, executortest.Harness{
			New:      func(*testing.T) runner.Executor { return executorOf(m.URL, scripts) },
			Program:  []string{exe},
			Follower: []string{exe, "follow", m.URL, scripts},
			Slow:     20 * time.Second,
			Timeout:  2 * time.Second,
		})
	})
}
