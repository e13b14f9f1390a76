package executortest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testEvents(t *testing.T, h Harness) {
	c, exit := h.run(t, newJob(t, h, "many:3000", "done"))
	c.checkOnce(t)
	if n := len(c.all()); n != 3001 || exit.Code != 0 || exit.Cause != "" {
		t.Errorf("%d events, exit %+v", n, exit)
	}
	if r := c.result(); r == nil || r.State != pipelines.StatusCompleted {
		t.Errorf("result %+v", r)
	}
}

func testExitCodes(t *testing.T, h Harness) {
	for _, c := range []struct {
		script []string
		code   int
		cause  pipelines.Cause
		text   string
	}{
		{[]string{"done"}, 0, "", ""},
		{[]string{"fail:nan"}, 1, "", "told to fail"},
		{[]string{"print:something went wrong", "exit:3"}, 3, pipelines.CauseUser, "something went wrong"},
		{[]string{"exit:0"}, 0, pipelines.CauseUser, "no result"},
	} {
		got, exit := h.run(t, newJob(t, h, c.script...))
		if exit.Code != c.code || exit.Cause != c.cause || !strings.Contains(exit.Message, c.text) || c.text == "" && exit.Message != "" {
			t.Errorf("%v: exit %+v, want code %d, cause %q, message with %q", c.script, exit, c.code, c.cause, c.text)
		}
		if r := got.result(); c.script[0] == "fail:nan" && (r == nil || r.Cause != pipelines.CauseNaN) {
			t.Errorf("%v: result %+v", c.script, r)
		}
	}
}

func testMissingProgram(t *testing.T, h Harness) {
	job := newJob(t, h)
	job.Command.Argv = []string{"/no/such/program", "x"}
	_, exit := h.run(t, job)
	if exit.Code == 0 || exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "/no/such/program") {
		t.Errorf("exit %+v", exit)
	}
}

func testEnvironment(t *testing.T, h Harness) {
	job := newJob(t, h, "env:FROM_COMMAND", "env:FROM_STEP", "env:FROM_SECRET", "env:RUNNER_TOKEN", "env:DATABASE_URL", "done")
	job.Command.Env = map[string]string{"FROM_COMMAND": "a b", "FROM_STEP": "overridden"}
	job.Env = map[string]string{"FROM_STEP": "ü=$HOME\n\"'"}
	job.Secrets = map[string]pipelines.Secret{"FROM_SECRET": pipelines.NewSecret("")}
	c, _ := h.run(t, job)
	want := []string{"FROM_COMMAND=a b", "FROM_STEP=ü=$HOME\n\"'", "FROM_SECRET=", "RUNNER_TOKEN=", "DATABASE_URL="}
	if got := c.texts(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testSecrets(t *testing.T, h Harness) {
	const canary = "c4n4ry-s3cr3t"
	job := newJob(t, h, "env:TOKEN", "exit:4")
	job.Secrets = map[string]pipelines.Secret{"TOKEN": pipelines.NewSecret(canary)}
	c, exit := h.run(t, job)
	if got := c.texts(); len(got) != 1 || got[0] != "TOKEN=(sensitive)" {
		t.Errorf("the step did not get its secret, or an event shows it: %q", got)
	}
	if strings.Contains(fmt.Sprintf("%+v", exit), canary) {
		t.Errorf("the exit shows the secret: %+v", exit)
	}
	// The step itself wrote it to its spool; the executor may not have written it anywhere else.
	err := filepath.WalkDir(job.Task.RunDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "events.ndjson" {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), canary) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func testOddPaths(t *testing.T, h Harness) {
	job := newJobIn(h, filepath.Join(h.Root(t), "a b", "日本 'ü\" $x;&", "-r"), "say:here", "done")
	c, exit := h.run(t, job)
	if exit.Code != 0 || !slices.Equal(c.texts(), []string{"here"}) {
		t.Errorf("exit %+v, messages %v", exit, c.texts())
	}
}

func testLargeOutput(t *testing.T, h Harness) {
	c, exit := h.run(t, newJob(t, h, "print-mb:32", "say:printed", "many:2000", "print:the last line", "exit:5"))
	c.checkOnce(t)
	if len(c.texts()) != 2001 || exit.Code != 5 || !strings.Contains(exit.Message, "the last line") || len(exit.Message) > 8<<10 {
		t.Errorf("%d messages, exit code %d, message of %d bytes", len(c.texts()), exit.Code, len(exit.Message))
	}
}

// testFiles: what the step kept is in the run's folder at its end, and nothing
// that it removed. Before, a checkpoint that is there is whole when its event is.
func testFiles(t *testing.T, h Harness) {
	job, c := newJob(t, h, "keep:5", "done"), newCollector()
	check := func(name string, epoch int) {
		dir := filepath.Join(job.Task.RunDir, "checkpoints", name)
		state, err := os.ReadFile(filepath.Join(dir, "state"))
		if errors.Is(err, fs.ErrNotExist) {
			return // the retention was quicker
		}
		got, werr := os.ReadFile(filepath.Join(dir, "deep", "weights"))
		if _, gone := os.Stat(dir); errors.Is(gone, fs.ErrNotExist) {
			return
		}
		if err != nil || werr != nil || string(state) != fmt.Sprintf("epoch_%d", epoch) || !bytes.Equal(got, weights(epoch)) {
			t.Errorf("%s is not that of epoch %d: %q and %d bytes, %v, %v", name, epoch, state, len(got), err, werr)
		}
	}
	done := make(chan outcome, 1)
	go func() {
		exit, err := h.New(t).Run(context.Background(), job, func(ctx context.Context, events []pipelines.Event) error {
			for _, e := range events {
				if e.Checkpoint != nil {
					check(e.Checkpoint.Name, e.Checkpoint.Epoch)
				}
			}
			return c.sink(ctx, events)
		})
		done <- outcome{exit, err}
	}()
	if exit := h.wait(t, "run", done); exit.Code != 0 || exit.Cause != "" {
		t.Fatalf("exit %+v", exit)
	}
	c.checkOnce(t)
	var names []string
	for _, folder := range []string{"checkpoints", "artifacts"} {
		entries, err := os.ReadDir(filepath.Join(job.Task.RunDir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if want := []string{"best", "epoch_2", "epoch_4", "epoch_5", "latest", "model.onnx", "plots"}; !slices.Equal(names, want) {
		t.Errorf("the run's folder has %v, want %v", names, want)
	}
	for name, epoch := range map[string]int{"best": 2, "epoch_2": 2, "epoch_4": 4, "epoch_5": 5, "latest": 5} {
		check(name, epoch)
	}
	for name, want := range map[string]string{"model.onnx": "a model", "plots/loss.svg": "a plot"} {
		if b, err := os.ReadFile(filepath.Join(job.Task.RunDir, "artifacts", name)); err != nil || string(b) != want {
			t.Errorf("the artifact %s is %q: %v", name, b, err)
		}
	}
	for name, want := range map[string]string{"best": "epoch_2", "latest": "epoch_5"} {
		if to, err := os.Readlink(filepath.Join(job.Task.RunDir, "checkpoints", name)); err != nil || to != want {
			t.Errorf("%s points to %q: %v", name, to, err)
		}
	}
}

func testTwoAtOnce(t *testing.T, h Harness) {
	x, root := h.New(t), h.Root(t)
	var done []<-chan outcome
	var sinks []*collector
	for _, name := range []string{"one", "two"} {
		c := newCollector()
		sinks = append(sinks, c)
		done = append(done, start(context.Background(), x, newJobIn(h, filepath.Join(root, name), "many:200", "say:"+name, "done"), c))
	}
	for i, name := range []string{"one", "two"} {
		exit := h.wait(t, name, done[i])
		texts := sinks[i].texts()
		if exit.Code != 0 || len(texts) != 201 || texts[200] != name {
			t.Errorf("%s: exit %+v, %d messages", name, exit, len(texts))
		}
	}
}

func testCancel(t *testing.T, h Harness) {
	ctx, x, job, c := context.Background(), h.New(t), newJob(t, h, "say:up", "sleep:1m", "done"), newCollector()
	done := start(ctx, x, job, c)
	h.waitSeen(t, c)
	for range 2 { // from another runner, twice
		if err := h.New(t).Cancel(ctx, job); err != nil {
			t.Fatal(err)
		}
	}
	exit := h.wait(t, "cancelled", done)
	if r := c.result(); r == nil || r.State != pipelines.StatusCancelled || exit.Code != 8 {
		t.Errorf("result %+v, exit %+v", r, exit)
	}
	if !slices.Equal(c.texts(), []string{"up", "stopping"}) {
		t.Errorf("the step got no time to stop: %v", c.texts())
	}
	h.wantLiveness(t, job, runner.Ended)
	if err := x.Cancel(ctx, job); err != nil {
		t.Errorf("cancel of an ended attempt: %v", err)
	}
}

func testCancelStubborn(t *testing.T, h Harness) {
	ctx, x, job, c := context.Background(), h.New(t), newJob(t, h, "stubborn:1m", "done"), newCollector()
	job.Grace = 300 * time.Millisecond
	done := start(ctx, x, job, c)
	h.waitSeen(t, c)
	if err := x.Cancel(ctx, job); err != nil {
		t.Fatal(err)
	}
	exit := h.wait(t, "killed", done)
	if exit.Code == 0 || exit.Cause != "" || !strings.Contains(exit.Message, "300ms") {
		t.Errorf("exit %+v", exit)
	}
}

func testTimeout(t *testing.T, h Harness) {
	job := newJob(t, h, "say:up", "sleep:1m", "done")
	job.Timeout = h.Timeout
	began := time.Now()
	c, exit := h.run(t, job)
	if exit.Cause != pipelines.CauseTimeout || !strings.Contains(exit.Message, h.Timeout.String()) || time.Since(began) > h.Timeout+2*h.Slow {
		t.Errorf("exit %+v after %s", exit, time.Since(began))
	}
	if !slices.Contains(c.texts(), "stopping") {
		t.Error("the step got no time to stop")
	}
}

func (h Harness) wantLiveness(t *testing.T, job runner.Job, want runner.Liveness) {
	t.Helper()
	got, err := h.New(t).Probe(context.Background(), pipelines.Attempt{RunID: job.Task.RunID, Number: job.Task.Attempt, Dir: job.Task.AttemptDir})
	if got != want || err != nil {
		t.Errorf("liveness %s, %v; want %s", got, err, want)
	}
}

func testAdopt(t *testing.T, h Harness) {
	ctx, leave := context.WithCancel(context.Background())
	job, first := newJob(t, h, "say:up", "sleep:1500ms", "many:100", "done"), newCollector()
	done := start(ctx, h.New(t), job, first)
	h.waitSeen(t, first)
	leave()
	if o := <-done; !errors.Is(o.err, context.Canceled) {
		t.Errorf("a follower that leaves gets %+v", o)
	}
	h.wantLiveness(t, job, runner.Alive)
	c, exit := h.run(t, job)
	c.checkOnce(t)
	if r := c.result(); r == nil || r.State != pipelines.StatusCompleted || exit.Cause != "" || len(c.texts()) != 101 {
		t.Errorf("adopted: result %+v, exit %+v, %d messages", r, exit, len(c.texts()))
	}
	h.wantLiveness(t, job, runner.Ended)
}

func testKilledRunner(t *testing.T, h Harness) {
	if h.Follower == nil {
		t.Skip("this executor's package starts no runner of its own")
	}
	job := newJob(t, h, "say:up", "sleep:2s", "many:50", "done")
	b, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.Follower[0], append(slices.Clone(h.Follower[1:]), path)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	h.wantLiveness(t, job, runner.Alive)
	c, exit := h.run(t, job)
	c.checkOnce(t)
	if texts := c.texts(); exit.Cause != "" || len(texts) != 51 || texts[50] != "49" {
		t.Errorf("adopted: exit %+v, messages %v", exit, texts)
	}
}

func testTwoFollowers(t *testing.T, h Harness) {
	ctx, job := context.Background(), newJob(t, h, "say:up", "sleep:500ms", "exit:6")
	a, b := newCollector(), newCollector()
	doneA := start(ctx, h.New(t), job, a)
	h.waitSeen(t, a)
	doneB := start(ctx, h.New(t), job, b)
	for _, exit := range []runner.Exit{h.wait(t, "first", doneA), h.wait(t, "second", doneB)} {
		if exit.Code != 6 {
			t.Errorf("exit %+v", exit)
		}
	}
	if len(a.texts()) != 1 || len(b.texts()) != 1 {
		t.Errorf("the step ran more than once, or not for both: %v, %v", a.texts(), b.texts())
	}
}

func testEndedOnce(t *testing.T, h Harness) {
	job := newJob(t, h, "say:once", "exit:7")
	h.run(t, job)
	c, exit := h.run(t, job)
	if !slices.Equal(c.texts(), []string{"once"}) || exit.Code != 7 || exit.Cause != pipelines.CauseUser {
		t.Errorf("second look: messages %v, exit %+v", c.texts(), exit)
	}
}

func testCauses(t *testing.T, h Harness) {
	for _, c := range []struct {
		script []string
		cause  pipelines.Cause
		text   string
	}{
		{[]string{"signal:9"}, pipelines.CauseInfrastructure, "SIGKILL"},
		{[]string{"exit:137"}, pipelines.CauseInfrastructure, "SIGKILL"},
		{[]string{"signal:11"}, pipelines.CauseInfrastructure, ""},
		{[]string{"print:RuntimeError: CUDA out of memory. Tried to allocate 2 GiB", "exit:1"}, pipelines.CauseOOM, "CUDA out of memory"},
		{[]string{"garbage:{nonsense", "exit:1"}, pipelines.CauseUser, "no event"},
	} {
		_, exit := h.run(t, newJob(t, h, c.script...))
		if exit.Cause != c.cause || !strings.Contains(exit.Message, c.text) {
			t.Errorf("%v: exit %+v, want cause %q and %q", c.script, exit, c.cause, c.text)
		}
	}
}

func testSinkFails(t *testing.T, h Harness) {
	job, x, away := newJob(t, h, "say:up", "sleep:500ms", "done"), h.New(t), errors.New("the store is away")
	_, err := x.Run(context.Background(), job, func(context.Context, []pipelines.Event) error { return away })
	if !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	c, exit := h.run(t, job) // the step went on, and nothing is lost
	if r := c.result(); r == nil || r.State != pipelines.StatusCompleted || exit.Code != 0 {
		t.Errorf("after a failed sink: result %+v, exit %+v", r, exit)
	}
}
