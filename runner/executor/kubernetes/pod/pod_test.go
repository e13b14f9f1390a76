package pod_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/dir"
	"github.com/trainwright/trainwright/runner/executor/executortest"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
	"github.com/trainwright/trainwright/runner/executor/local"
)

func TestMain(m *testing.M) {
	executortest.Main()
	os.Exit(m.Run())
}

// attempt runs a script as a pod would.
func attempt(t *testing.T, change func(*pod.Options), script ...string) (code int, log string, o pod.Options) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := t.TempDir()
	dir := filepath.Join(run, "attempts", "1")
	task, err := spool.WriteTask(pipelines.Task{Version: 1, Address: "train.a", RunID: "r", Attempt: 1, RunDir: run, AttemptDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o = pod.Options{Task: task, Argv: append([]string{exe, "executortest", task}, script...), Grace: 5 * time.Second,
		Stdout: &out, TerminationLog: filepath.Join(t.TempDir(), "last")}
	if change != nil {
		change(&o)
	}
	code = pod.Run(context.Background(), &local.Executor{Poll: 10 * time.Millisecond}, o)
	return code, out.String(), o
}

func parse(log string) (events []pipelines.Event, exit *runner.Exit, output []string) {
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		switch l := pod.ParseLine([]byte(line), 1); {
		case l.Event != nil:
			events = append(events, *l.Event)
		case l.Exit != nil:
			exit = l.Exit
		default:
			output = append(output, line)
		}
	}
	return events, exit, output
}

func TestEventsOutputAndEndAreInTheLog(t *testing.T) {
	code, log, o := attempt(t, nil, "say:hello", "print:trainwright.event {}", "print:out", "many:500", "done")
	events, exit, output := parse(log)
	if code != 0 || exit == nil || exit.Code != 0 || len(events) != 502 {
		t.Fatalf("code %d, exit %+v, %d events", code, exit, len(events))
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i+1, e.Seq)
		}
	}
	if got := strings.Join(output, "|"); got != " trainwright.event {}|out" {
		t.Errorf("output %q", got)
	}
	var last, saved runner.Exit
	for path, into := range map[string]*runner.Exit{o.TerminationLog: &last, filepath.Join(filepath.Dir(o.Task), pod.ExitFile): &saved} {
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil || into.Cause != "" {
			t.Errorf("%s: %+v, %v", path, into, err)
		}
	}
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		script []string
		code   int
		cause  pipelines.Cause
		text   string
	}{
		{[]string{"exit:3"}, 3, pipelines.CauseUser, "exit code 3"},
		{[]string{"exit:0"}, 1, pipelines.CauseUser, "no result"},
		{[]string{"signal:9"}, 137, pipelines.CauseInfrastructure, "SIGKILL"},
		{[]string{"fail:nan"}, 1, "", "told to fail"},
	} {
		code, log, _ := attempt(t, nil, c.script...)
		_, exit, _ := parse(log)
		if code != c.code || exit == nil || exit.Cause != c.cause || !strings.Contains(exit.Message, c.text) {
			t.Errorf("%v: code %d, exit %+v", c.script, code, exit)
		}
	}
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	t.Setenv("TOKEN", "c4n4ry-s3cr3t")
	_, log, _ := attempt(t, func(o *pod.Options) { o.SecretEnv = []string{"TOKEN"} }, "env:TOKEN", "print:it is c4n4ry-s3cr3t", "exit:4")
	if strings.Contains(log, "c4n4ry") || !strings.Contains(log, "TOKEN=(sensitive)") {
		t.Errorf("log: %s", log)
	}
}

func TestOtherRanksWriteNoEvents(t *testing.T) {
	code, log, o := attempt(t, func(o *pod.Options) { o.Rank = 1 }, "say:hello", "print:out", "done")
	events, exit, output := parse(log)
	if code != 0 || len(events) != 0 || exit == nil || len(output) != 1 {
		t.Errorf("code %d, %d events, exit %+v, output %v", code, len(events), exit, output)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(o.Task), spool.EventsFile)); err == nil {
		t.Error("rank 1 wrote to the attempt's spool")
	}
}

func TestFolderNotMounted(t *testing.T) {
	code, log, _ := attempt(t, func(o *pod.Options) { o.Task = "/no/such/folder/task.json" }, "done")
	_, exit, _ := parse(log)
	if code == 0 || exit == nil || exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "/no/such/folder/task.json") {
		t.Errorf("code %d, exit %+v", code, exit)
	}
}

func TestSignalStopsTheStep(t *testing.T) {
	go func() {
		time.Sleep(2 * time.Second)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	code, log, _ := attempt(t, nil, "say:up", "sleep:1m", "done")
	events, _, _ := parse(log)
	if last := events[len(events)-1].Result; code != 8 || last == nil || last.State != pipelines.StatusCancelled {
		t.Errorf("code %d, events %+v", code, events)
	}
}

func TestTerminationMessageFits(t *testing.T) {
	_, _, o := attempt(t, nil, "print-mb:1", "print:"+strings.Repeat("long ", 2000), "exit:5")
	b, err := os.ReadFile(o.TerminationLog)
	if err != nil || len(b) > 4096 || !json.Valid(b) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// slow holds up the pointer to what the pod has sent to its end.
type slow struct {
	runner.Blobs
	asked, release chan struct{}
}

func (s slow) Put(ctx context.Context, key, file string) error {
	if b, err := os.ReadFile(file); err == nil && strings.HasSuffix(key, "out.json") && bytes.Contains(b, []byte(`"final":true`)) {
		close(s.asked)
		<-s.release
	}
	return s.Blobs.Put(ctx, key, file)
}

// TestResultWaitsForTheBucket: what a result speaks of has arrived before it
// is told.
func TestResultWaitsForTheBucket(t *testing.T) {
	folder, err := dir.Open(filepath.Join(t.TempDir(), "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	blobs := slow{folder, make(chan struct{}), make(chan struct{})}
	var out lockedBuffer
	ended := make(chan int, 1)
	go func() {
		code, _, _ := attempt(t, func(o *pod.Options) {
			run := filepath.Dir(filepath.Dir(filepath.Dir(o.Task)))
			place := work.Place{Blobs: blobs, Run: "r", Attempt: 1}
			if err := (&work.Sender{}).Send(context.Background(), place, run, nil); err != nil {
				t.Error(err)
			}
			o.Place, o.Stdout = &place, &out
		}, "say:up", "done")
		ended <- code
	}()
	<-blobs.asked
	if log := out.String(); !strings.Contains(log, `"up"`) || strings.Contains(log, `"result"`) || strings.Contains(log, "trainwright.exit") {
		t.Errorf("before the bucket has it, the log says:\n%s", log)
	}
	close(blobs.release)
	if code := <-ended; code != 0 {
		t.Errorf("code %d", code)
	}
	events, exit, _ := parse(out.String())
	if exit == nil || len(events) == 0 || events[len(events)-1].Result == nil {
		t.Errorf("the log says:\n%s", out.String())
	}
}

// TestNothingFetched: an attempt whose files cannot be had ends and says why.
func TestNothingFetched(t *testing.T) {
	folder, err := dir.Open(filepath.Join(t.TempDir(), "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	code, log, _ := attempt(t, func(o *pod.Options) { o.Place = &work.Place{Blobs: folder, Run: "r", Attempt: 1} }, "done")
	_, exit, _ := parse(log)
	if code == 0 || exit == nil || exit.Cause != pipelines.CauseInfrastructure || !strings.Contains(exit.Message, "could not be fetched") {
		t.Errorf("code %d, exit %+v", code, exit)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
