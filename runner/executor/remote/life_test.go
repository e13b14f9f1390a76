package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// samples is data whose only file is where the spec's path says; what is in a
// bucket is fetched into a folder.
type samples struct{ fetched string }

const fingerprint = "sha256:planned"

func (s samples) Localize(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error) {
	if rest, ok := strings.CutPrefix(spec.Path, "s3://bucket/"); ok {
		spec.Path = filepath.Join(s.fetched, rest)
	} else if strings.Contains(spec.Path, "://") {
		return spec, pipelines.Errorf(pipelines.CodeInvalid, "nothing at %s is read for others", spec.Path)
	}
	return spec, nil
}

func (samples) Inspect(context.Context, pipelines.DatasetSpec) (pipelines.DatasetReport, error) {
	return pipelines.DatasetReport{}, errors.New("not asked for")
}

func (samples) Index(_ context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error) {
	return pipelines.DatasetIndex{Name: spec.Name, Fingerprint: fingerprint, Splits: map[string][]pipelines.Sample{"train": {{Path: filepath.Join(spec.Path, "a.png")}}}}, nil
}

// trainer is a step that goes on from the newest checkpoint, keeps two and an
// artifact, and waits at its second epoch until a file says that it may go on.
func trainer(ctx context.Context, task pipelines.Task, emit func(pipelines.Event) error) error {
	dir := filepath.Join(task.RunDir, "checkpoints")
	epoch := 0
	if b, err := os.ReadFile(filepath.Join(dir, "latest", "state.json")); err == nil {
		if err := json.Unmarshal(b, &epoch); err != nil {
			return err
		}
		if err := emit(pipelines.Event{Resumed: &pipelines.Resumed{Checkpoint: filepath.Join(dir, "latest"), Epoch: epoch}}); err != nil {
			return err
		}
	}
	if s := task.Train.Start; s != nil {
		text, err := os.ReadFile(filepath.Join(s.Checkpoint.Path, "weights"))
		if err != nil {
			return err
		}
		if err := emit(pipelines.Event{Message: &pipelines.Message{Level: "info", Text: "starts from " + string(text)}}); err != nil {
			return err
		}
	}
	var index pipelines.DatasetIndex
	text, err := os.ReadFile(task.Dataset.IndexPath)
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	if err != nil {
		return err
	}
	if sample := index.Splits["train"][0].Path; strings.Contains(sample, "/fetched/") {
		if err := emit(pipelines.Event{Message: &pipelines.Message{Level: "info", Text: sample}}); err != nil {
			return err
		}
	}
	for epoch < 4 {
		epoch++
		name := "epoch_" + string(rune('0'+epoch))
		b, _ := json.Marshal(epoch)
		hidden := filepath.Join(dir, "."+name)
		err := errors.Join(os.MkdirAll(filepath.Join(hidden, "deep"), 0o755), os.WriteFile(filepath.Join(hidden, "state.json"), b, 0o644),
			os.WriteFile(filepath.Join(hidden, "deep", "weights"), bytes.Repeat(b, 5<<20), 0o644), os.Rename(hidden, filepath.Join(dir, name)))
		_ = os.Remove(filepath.Join(dir, "latest"))
		err = errors.Join(err, os.Symlink(name, filepath.Join(dir, "latest")), os.RemoveAll(filepath.Join(dir, "epoch_"+string(rune('0'+epoch-2)))))
		if err == nil {
			err = emit(pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: name, Path: filepath.Join(dir, name), Epoch: epoch}})
		}
		if err != nil {
			return err
		}
		for epoch == 2 {
			if _, err := os.Stat(filepath.Join(filepath.Dir(index.Splits["train"][0].Path), "go")); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	made := filepath.Join(task.RunDir, "artifacts", "model.onnx")
	if err := errors.Join(os.MkdirAll(filepath.Dir(made), 0o755), os.WriteFile(made, []byte("a model"), 0o644)); err != nil {
		return err
	}
	return emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted,
		Latest:    &pipelines.Checkpoint{Name: "epoch_4", Path: filepath.Join(dir, "epoch_4"), Epoch: 4},
		Artifacts: []pipelines.Artifact{{Name: "model.onnx", Path: made}}}})
}

// lesson is a training on a machine, as one runner after the other follows it.
type lesson struct {
	t       *testing.T
	m       *machine
	scripts string
	job     runner.Job
	data    string // on the server
}

func newLesson(t *testing.T) *lesson {
	scripts := t.TempDir()
	l := &lesson{t: t, m: newMachine(t, scripts), scripts: scripts}
	l.data = filepath.Join(l.m.data, "letters")
	if err := os.MkdirAll(l.data, 0o755); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(t.TempDir(), "run")
	exe, _ := os.Executable()
	l.job = runner.Job{
		Command: adapters.Command{Argv: []string{exe, "trainer", spool.TaskFile}}, Grace: 5 * time.Second,
		Dataset: &pipelines.DatasetSpec{Name: "letters", Path: "/data/letters"},
		Task: pipelines.Task{Version: pipelines.TaskVersion, Pipeline: "p", Address: "train.a", RunID: runner.NewID(time.Now()), Attempt: 1, Kind: pipelines.KindTrain,
			Adapter: "executortest", RunDir: run, AttemptDir: filepath.Join(run, "attempts", "1"), Train: &pipelines.TaskTrain{Device: "cpu"},
			Dataset: &pipelines.TaskDataset{Name: "letters", Path: "/data/letters", Fingerprint: fingerprint}},
	}
	return l
}

// next is the job of the attempt after this one.
func (l *lesson) next() {
	l.job.Task.Attempt++
	l.job.Task.Resume = true
	l.job.Task.AttemptDir = filepath.Join(l.job.Task.RunDir, "attempts", string(rune('0'+l.job.Task.Attempt)))
}

func (l *lesson) goOn() {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.data, "go"), nil, 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// begin runs the job; seen gets the number of each epoch, and done its end.
func (l *lesson) begin() (seen chan int, done chan end) {
	seen, done = make(chan int, 20), make(chan end, 1)
	go func() {
		var out end
		out.exit, out.err = executorOf(l.m.URL, l.scripts).Run(context.Background(), l.job, func(_ context.Context, events []pipelines.Event) error {
			for _, e := range events {
				if e.Checkpoint != nil {
					seen <- e.Checkpoint.Epoch
				}
			}
			out.events = append(out.events, events...)
			return nil
		})
		done <- out
	}()
	return seen, done
}

type end struct {
	exit   runner.Exit
	err    error
	events []pipelines.Event
}

func (l *lesson) wait(done chan end) end {
	l.t.Helper()
	select {
	case out := <-done:
		if out.err != nil {
			l.t.Fatal(out.err)
		}
		return out
	case <-time.After(time.Minute):
		l.t.Fatal("no end after a minute")
		return end{}
	}
}

func (l *lesson) await(seen chan int, epoch int) {
	l.t.Helper()
	for after := time.After(time.Minute); ; {
		select {
		case n := <-seen:
			if n == epoch {
				return
			}
		case <-after:
			l.t.Fatalf("epoch %d was not seen", epoch)
		}
	}
}

// wantHome checks that the run's folder is as the step left it on the server.
func (l *lesson) wantHome() {
	l.t.Helper()
	var names []string
	entries, _ := os.ReadDir(filepath.Join(l.job.Task.RunDir, "checkpoints"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"epoch_3", "epoch_4", "latest"}) {
		l.t.Errorf("checkpoints here: %v", names)
	}
	if b, err := os.ReadFile(filepath.Join(l.job.Task.RunDir, "checkpoints", "latest", "deep", "weights")); err != nil || !bytes.Equal(b, bytes.Repeat([]byte("4"), 5<<20)) {
		l.t.Errorf("the newest checkpoint has %d bytes: %v", len(b), err)
	}
	if b, err := os.ReadFile(filepath.Join(l.job.Task.RunDir, "artifacts", "model.onnx")); err != nil || string(b) != "a model" {
		l.t.Errorf("the artifact is %q: %v", b, err)
	}
}

func TestCheckpointsAndArtifactsComeHome(t *testing.T) {
	l := newLesson(t)
	seen, done := l.begin()
	l.await(seen, 2)
	for range 500 { // while it trains
		if _, err := os.Stat(filepath.Join(l.job.Task.RunDir, "checkpoints", "epoch_2", "state.json")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := os.Stat(filepath.Join(l.job.Task.RunDir, "checkpoints", "epoch_2", "deep", "weights")); err != nil {
		t.Error("a checkpoint is not here while the training goes on:", err)
	}
	l.goOn()
	out := l.wait(done)
	if out.exit.Code != 0 || out.exit.Cause != "" {
		t.Errorf("exit %+v", out.exit)
	}
	l.wantHome()
	for _, e := range out.events {
		if e.Checkpoint != nil && filepath.Dir(filepath.Dir(e.Checkpoint.Path)) != l.job.Task.RunDir {
			t.Errorf("an event names the path %s", e.Checkpoint.Path)
		}
		if r := e.Result; r != nil && (r.Latest.Path != filepath.Join(l.job.Task.RunDir, "checkpoints", "epoch_4") || r.Artifacts[0].Path != filepath.Join(l.job.Task.RunDir, "artifacts", "model.onnx")) {
			t.Errorf("the result names %+v, %+v", r.Latest, r.Artifacts)
		}
	}
}

// TestServerAwayInTheMiddle stops the server while a step runs and starts it
// again: the step goes on meanwhile, and nothing is lost or doubled.
func TestServerAwayInTheMiddle(t *testing.T) {
	l := newLesson(t)
	var told []string
	said := make(chan string, 10)
	l.job.Tell = func(text string) { said <- text }
	seen, done := l.begin()
	l.await(seen, 2)
	addr := l.m.ln.Addr().String()
	l.m.stop()
	l.goOn()
	for away := false; !away; {
		select {
		case text := <-said:
			told = append(told, text)
			away = strings.Contains(text, "does not answer")
		case <-time.After(time.Minute):
			t.Fatalf("nobody was told that the server is away: %q", told)
		}
	}
	l.m.start(addr, l.scripts)
	out := l.wait(done)
	if out.exit.Code != 0 && !out.exit.Unseen || out.exit.Cause != "" {
		t.Errorf("exit %+v", out.exit)
	}
	for i, e := range out.events {
		if e.Seq != int64(i+1) {
			t.Errorf("event %d has seq %d", i+1, e.Seq)
		}
	}
	if last := out.events[len(out.events)-1]; last.Result == nil || last.Result.State != pipelines.StatusCompleted {
		t.Errorf("the last event is %+v", last)
	}
	l.wantHome()
}

// TestNextAttempt goes on with a run whose client died: the attempt that still
// works there is stopped first. Then on a server that has nothing of the run.
func TestNextAttempt(t *testing.T) {
	for _, c := range []string{"same server", "another server"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			l := newLesson(t)
			seen, done := l.begin()
			l.await(seen, 2)
			if c == "another server" {
				if err := executorOf(l.m.URL, l.scripts).Cancel(context.Background(), l.job); err != nil {
					t.Fatal(err)
				}
				l.m.stop()
				if err := os.RemoveAll(filepath.Join(l.m.state, "remote")); err != nil {
					t.Fatal(err)
				}
				l.m.start("127.0.0.1:0", l.scripts)
			} else {
				killClient(t, l.job.Task.AttemptDir)
			}
			l.wait(done)
			l.next()
			_, done = l.begin()
			out := l.wait(done)
			if len(out.events) == 0 || out.events[0].Resumed == nil || out.events[0].Resumed.Epoch != 2 {
				t.Fatalf("it did not go on from epoch 2: exit %+v, events %+v", out.exit, out.events)
			}
			if got := out.events[0].Resumed.Checkpoint; got != filepath.Join(l.job.Task.RunDir, "checkpoints", "latest") {
				t.Errorf("it went on from %s", got)
			}
			l.wantHome()
		})
	}
}

// killClient kills the process on this machine, as a power cut does.
func killClient(t *testing.T, dir string) {
	t.Helper()
	var rec struct {
		Process struct{ PID int } `json:"process"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "process.json"))
	if err == nil {
		err = json.Unmarshal(text, &rec)
	}
	if err != nil || rec.Process.PID == 0 {
		t.Fatal(rec, err)
	}
	p, err := os.FindProcess(rec.Process.PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatAStepStartsFromAreSent(t *testing.T) {
	l := newLesson(t)
	l.goOn()
	from := filepath.Join(t.TempDir(), "epoch_9")
	weights := strings.Repeat("0123456789abcdef", 300_000) // of several pieces
	if err := errors.Join(os.MkdirAll(from, 0o755), os.WriteFile(filepath.Join(from, "weights"), []byte(weights), 0o644), os.Symlink("epoch_9", filepath.Join(filepath.Dir(from), "best"))); err != nil {
		t.Fatal(err)
	}
	l.job.Task.Train.Start = &pipelines.Start{Checkpoint: pipelines.Checkpoint{Path: filepath.Join(filepath.Dir(from), "best")}}
	_, done := l.begin()
	out := l.wait(done)
	if len(out.events) == 0 || out.events[0].Message == nil || out.events[0].Message.Text != "starts from "+weights {
		t.Errorf("exit %+v; the step did not find what it starts from", out.exit)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lesson)
		cause  pipelines.Cause
		words  string
	}{
		"other data":                   {func(l *lesson) { l.job.Task.Dataset.Fingerprint = "sha256:other" }, pipelines.CauseData, "is not the one that was planned"},
		"a variable":                   {func(l *lesson) { l.job.Env = map[string]string{"LD_PRELOAD": "/x.so"} }, pipelines.CauseConfig, "may not set the variable LD_PRELOAD"},
		"a variable, in task":          {func(l *lesson) { l.job.Task.Env = map[string]string{"PATH": "/x"} }, pipelines.CauseConfig, "--allow-env"},
		"an adapter":                   {func(l *lesson) { l.job.Task.Adapter = "mine" }, pipelines.CauseConfig, `no adapter "mine"`},
		"an adapter of other packages": {func(l *lesson) { l.job.Adapter = &adapters.Info{Lock: "sha256:other"} }, pipelines.CauseConfig, "not the one that was planned with"},
		"an adapter of other numbers":  {func(l *lesson) { l.job.Adapter = &adapters.Info{Numerics: 2} }, pipelines.CauseConfig, "numerics version"},
		"missing weights": {func(l *lesson) {
			l.job.Task.Model = &pipelines.ModelSpec{Weights: &pipelines.WeightsFile{Path: "/no/weights"}}
		}, pipelines.CauseConfig, "/no/weights"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLesson(t)
			l.goOn()
			c.change(l)
			_, done := l.begin()
			out := l.wait(done)
			if out.exit.Cause != c.cause || !strings.Contains(out.exit.Message, c.words) || out.exit.Code == 0 {
				t.Errorf("exit %+v; want cause %s and %q", out.exit, c.cause, c.words)
			}
		})
	}
}

func TestWrongToken(t *testing.T) {
	l := newLesson(t)
	x := executorOf(l.m.URL, l.scripts)
	x.Config.Token = pipelines.NewSecret("wrong")
	exit, err := x.Run(context.Background(), l.job, func(context.Context, []pipelines.Event) error { return nil })
	if err != nil || exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "the executor block's token") {
		t.Errorf("exit %+v, %v", exit, err)
	}
}

func TestPrivateAddressOfAStranger(t *testing.T) {
	l := newLesson(t)
	x := executorOf(l.m.URL, l.scripts)
	x.PublicOnly = true
	exit, err := x.Run(context.Background(), l.job, func(context.Context, []pipelines.Event) error { return nil })
	if err != nil || exit.Cause != pipelines.CauseConfig || !strings.Contains(exit.Message, "--allow-private-addresses") {
		t.Errorf("exit %+v, %v", exit, err)
	}
}

// TestDataInABucket: the server fetches it itself, if it may, and events name
// it as it is here.
func TestDataInABucket(t *testing.T) {
	l := newLesson(t)
	l.data = filepath.Join(l.m.state, "fetched", "letters")
	if err := os.MkdirAll(l.data, 0o755); err != nil {
		t.Fatal(err)
	}
	l.goOn()
	l.job.Dataset.Path, l.job.Task.Dataset.Path = "s3://bucket/letters", "/here/cache/letters"
	_, done := l.begin()
	out := l.wait(done)
	if out.exit.Code != 0 || len(out.events) == 0 || out.events[0].Message == nil || out.events[0].Message.Text != "/here/cache/letters/a.png" {
		t.Errorf("exit %+v, events %+v", out.exit, out.events)
	}
	l.wantHome()

	l = newLesson(t)
	l.job.Dataset.Path = "s3://private/letters"
	_, done = l.begin()
	if out := l.wait(done); out.exit.Cause != pipelines.CauseConfig || !strings.Contains(out.exit.Message, "s3://private/letters") {
		t.Errorf("a bucket that is nobody's business: %+v", out.exit)
	}
}

func TestDataOutsideOfRoot(t *testing.T) {
	l := newLesson(t)
	for _, path := range []string{"/elsewhere/letters", "/data/../letters"} {
		l.job.Dataset.Path = path
		_, err := executorOf(l.m.URL, l.scripts).Run(context.Background(), l.job, nil)
		if pipelines.CodeOf(err) != pipelines.CodeInvalid || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Stat(filepath.Join(l.job.Task.AttemptDir, spool.LockFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was started", path)
		}
	}
}
