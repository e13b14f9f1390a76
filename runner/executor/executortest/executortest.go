// Package executortest is the suite that every runner.Executor passes, and
// the step program that it lets executors run.
package executortest

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"context"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Harness is what the suite needs of an executor's package.
type Harness struct {
	// New returns an executor as another process of the runner would make it.
	New func(t *testing.T) runner.Executor
	// Program is the command line to which the suite appends "executortest"
	// and the path of a task.json; the program at its end calls Main. For a
	// local executor it is the test binary.
	Program []string
	// Root returns an empty folder that both sides see under the same path.
	// Nil = t.TempDir.
	Root func(t *testing.T) string
	// Follower is the command line of a runner's process: with the path of a
	// job's file behind it, it calls Follow. The suite kills it. Nil = not tested.
	Follower []string
	// Slow is the time within which a step starts or stops; 0 = 10 s.
	Slow time.Duration
	// Timeout is what the step gets that runs out of it, starting included;
	// 0 = 1 s.
	Timeout time.Duration
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Root == nil {
		h.Root = func(t *testing.T) string { return t.TempDir() }
	}
	if h.Slow == 0 {
		h.Slow = 10 * time.Second
	}
	if h.Timeout == 0 {
		h.Timeout = time.Second
	}
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"EventsInOrderAndOnce", testEvents},
		{"ExitCodes", testExitCodes},
		{"MissingProgram", testMissingProgram},
		{"Environment", testEnvironment},
		{"SecretsAreNotWritten", testSecrets},
		{"OddPaths", testOddPaths},
		{"LargeOutput", testLargeOutput},
		{"FilesComeHome", testFiles},
		{"TwoAtOnce", testTwoAtOnce},
		{"Cancel", testCancel},
		{"CancelStubborn", testCancelStubborn},
		{"Timeout", testTimeout},
		{"FollowerLeavesAndAnotherAdopts", testAdopt},
		{"KilledRunnerAndAnotherAdopts", testKilledRunner},
		{"TwoFollowers", testTwoFollowers},
		{"EndedIsNotStartedAgain", testEndedOnce},
		{"Causes", testCauses},
		{"SinkFails", testSinkFails},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, h)
		})
	}
}

// newJob makes a job that does what script says; see Main.
func newJob(t *testing.T, h Harness, script ...string) runner.Job {
	t.Helper()
	return newJobIn(h, filepath.Join(h.Root(t), "run"), script...)
}

func newJobIn(h Harness, runDir string, script ...string) runner.Job {
	dir := filepath.Join(runDir, "attempts", "1")
	task := pipelines.Task{
		Version: pipelines.TaskVersion, Pipeline: "p", Address: "train.a", RunID: runner.NewID(time.Now()), JobID: 1, Attempt: 1,
		Kind: pipelines.KindTrain, Adapter: "executortest", RunDir: runDir, AttemptDir: dir,
		Env: map[string]string{},
	}
	argv := append([]string{}, h.Program...)
	argv = append(argv, "executortest", filepath.Join(dir, "task.json"))
	return runner.Job{
		Task:    task,
		Command: adapters.Command{Argv: append(argv, script...)},
		Grace:   5 * time.Second,
	}
}

// collector is a sink that keeps what it gets.
type collector struct {
	mu     sync.Mutex
	events []pipelines.Event
	seen   chan struct{} // closed at the first message event
	once   sync.Once
}

func newCollector() *collector { return &collector{seen: make(chan struct{})} }

func (c *collector) sink(_ context.Context, events []pipelines.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if e.Message != nil {
			c.once.Do(func() { close(c.seen) })
		}
	}
	c.events = append(c.events, events...)
	return nil
}

func (c *collector) all() []pipelines.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]pipelines.Event{}, c.events...)
}

// texts are the messages of the step.
func (c *collector) texts() []string {
	var out []string
	for _, e := range c.all() {
		if e.Message != nil {
			out = append(out, e.Message.Text)
		}
	}
	return out
}

func (c *collector) result() *pipelines.StepResult {
	for _, e := range c.all() {
		if e.Result != nil {
			return e.Result
		}
	}
	return nil
}

// checkOnce fails unless seqs are 1, 2, 3, …
func (c *collector) checkOnce(t *testing.T) {
	t.Helper()
	for i, e := range c.all() {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i+1, e.Seq)
		}
	}
}

type outcome struct {
	exit runner.Exit
	err  error
}

// start runs a job in the background.
func start(ctx context.Context, x runner.Executor, job runner.Job, c *collector) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		exit, err := x.Run(ctx, job, c.sink)
		done <- outcome{exit, err}
	}()
	return done
}

func (h Harness) wait(t *testing.T, what string, done <-chan outcome) runner.Exit {
	t.Helper()
	select {
	case o := <-done:
		if o.err != nil {
			t.Fatalf("%s: %v", what, o.err)
		}
		return o.exit
	case <-time.After(3 * h.Slow):
		t.Fatalf("%s: no end after %s", what, 3*h.Slow)
		return runner.Exit{}
	}
}

func (h Harness) waitSeen(t *testing.T, c *collector) {
	t.Helper()
	select {
	case <-c.seen:
	case <-time.After(3 * h.Slow):
		t.Fatal("the step sent no message")
	}
}

// run runs a job to its end.
func (h Harness) run(t *testing.T, job runner.Job) (*collector, runner.Exit) {
	t.Helper()
	c := newCollector()
	return c, h.wait(t, "run", start(context.Background(), h.New(t), job, c))
}
