package adaptertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// probe is one check at work. It gathers failures instead of failing a test,
// so that the suite can be run on adapters that must not pass.
type probe struct {
	Harness
	ctx     context.Context
	dir     string
	skipped string
	leftOut []Failure
	shared  *undisturbed

	mu       sync.Mutex // fields are changed several at once
	runs     int
	failures []Failure
}

// undisturbed is one training that nobody disturbed, which several checks
// compare theirs with.
type undisturbed struct {
	task pipelines.Task
	end  attemptEnd
	done bool
}

type abort struct{}

func newProbe(ctx context.Context, h Harness, dir string, u *undisturbed) *probe {
	if h.Slow == 0 {
		h.Slow = time.Minute
	}
	if h.Weights == nil {
		h.Weights = WeightFiles
	}
	return &probe{Harness: h, ctx: ctx, dir: dir, shared: u}
}

func (p *probe) do(check func(*probe)) []Failure {
	p.protect(func() { check(p) })
	return p.failures
}

// protect ends with f, also where that is aborted.
func (p *probe) protect(f func()) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(abort); !ok {
				panic(r)
			}
		}
	}()
	f()
}

func (p *probe) errorf(format string, args ...any) { p.fieldf("", format, args...) }

// fieldf is a failure that one config field is to blame for.
func (p *probe) fieldf(field, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, Failure{Field: field, What: fmt.Sprintf(format, args...)})
}

func (p *probe) fatalf(format string, args ...any) {
	p.errorf(format, args...)
	panic(abort{})
}

func (p *probe) skip(format string, args ...any) {
	p.skipped = fmt.Sprintf(format, args...)
	panic(abort{})
}

// task returns a fresh training in a run folder of its own.
func (p *probe) task() pipelines.Task {
	task, err := p.Harness.Task(p.dir)
	if err != nil {
		p.fatalf("%v", err)
	}
	return p.place(task)
}

// place gives a training a run folder of its own.
func (p *probe) place(task pipelines.Task) pipelines.Task {
	p.mu.Lock()
	p.runs++
	n := p.runs
	p.mu.Unlock()
	run := filepath.Join(p.dir, fmt.Sprint("run", n))
	if err := os.MkdirAll(run, 0o755); err != nil {
		p.fatalf("%v", err)
	}
	task.Version, task.Kind, task.Adapter = pipelines.TaskVersion, pipelines.KindTrain, p.Adapter.Info().Name
	task.RunID, task.JobID, task.RunDir = filepath.Base(run), int64(n), run
	train := *task.Train
	train.Config = maps.Clone(train.Config)
	train.Written = []string{}
	task.Train = &train
	return attempt(task, 1)
}

// attempt makes the n-th attempt of a task.
func attempt(task pipelines.Task, n int) pipelines.Task {
	task.Attempt, task.Resume = n, n > 1
	task.AttemptDir = filepath.Join(task.RunDir, "attempts", fmt.Sprint(n))
	return task
}

// set changes a config field as a user would.
func set(task *pipelines.Task, field string, value any) {
	task.Train.Config[field] = value
	if field == schema.LearningRate {
		task.Train.LearningRate, _ = value.(float64)
	}
	if !slices.Contains(task.Train.Written, field) {
		task.Train.Written = append(task.Train.Written, field)
	}
}

// process is a step at work.
type process struct {
	p    *probe
	task pipelines.Task
	cmd  *exec.Cmd
	log  bytes.Buffer
	end  chan struct{}
	read *spool.Reader
	seen []pipelines.Event
}

// start starts an attempt as an executor would: a session of its own that
// holds the attempt's lock.
func (p *probe) start(task pipelines.Task) *process {
	if err := p.ctx.Err(); err != nil {
		p.fatalf("%v", err)
	}
	path, err := spool.WriteTask(task)
	if err != nil {
		p.fatalf("%v", err)
	}
	command, err := p.Adapter.Command(p.ctx, path)
	if err != nil {
		p.fatalf("the adapter's command: %v", err)
	}
	lock, ok, err := spool.TryLock(task.AttemptDir)
	if err != nil || !ok {
		p.fatalf("lock: %v, %v", ok, err)
	}
	defer lock.Close()
	x := &process{p: p, task: task, end: make(chan struct{}),
		read: spool.NewReader(filepath.Join(task.AttemptDir, spool.EventsFile), task.Attempt, 0)}
	x.cmd = exec.Command(command.Argv[0], command.Argv[1:]...)
	x.cmd.Dir, x.cmd.Stdout, x.cmd.Stderr = command.Dir, &x.log, &x.log
	x.cmd.Env = append(os.Environ(), spool.EnvLockFD+"=3", spool.EnvAttemptDir+"="+task.AttemptDir)
	for _, env := range []map[string]string{command.Env, p.Env, task.Env} {
		for k, v := range env {
			x.cmd.Env = append(x.cmd.Env, k+"="+v)
		}
	}
	x.cmd.ExtraFiles = []*os.File{lock.File()}
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := x.cmd.Start(); err != nil {
		p.fatalf("start the step: %v", err)
	}
	go func() {
		_ = x.cmd.Wait()
		_ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGKILL)
		close(x.end)
	}()
	return x
}

// poll reads what the step has written since.
func (x *process) poll() []pipelines.Event {
	for {
		events, err := x.read.Next()
		x.seen = append(x.seen, events...)
		var line *spool.LineError
		if errors.As(err, &line) {
			x.p.errorf("%v", err)
			continue
		}
		if err != nil {
			x.p.fatalf("%v", err)
		}
		if len(events) == 0 {
			return x.seen
		}
	}
}

// until waits until what the step wrote satisfies ok; false = it ended before.
func (x *process) until(ok func([]pipelines.Event) bool) bool {
	deadline := time.After(x.p.Slow)
	for {
		if ok(x.poll()) {
			return true
		}
		select {
		case <-x.end:
			return ok(x.poll())
		case <-x.p.ctx.Done():
			x.kill()
			x.p.fatalf("%v", x.p.ctx.Err())
		case <-deadline:
			x.kill()
			x.p.fatalf("the step neither got there nor ended within %s\n%s", x.p.Slow, x.log.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends the step at once.
func (x *process) kill() {
	_ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGKILL)
	<-x.end
	x.poll()
}

// wait waits for the end and returns what the attempt left.
func (x *process) wait() attemptEnd {
	select {
	case <-x.end:
	case <-x.p.ctx.Done():
		x.kill()
		x.p.fatalf("%v", x.p.ctx.Err())
	case <-time.After(x.p.Slow):
		x.kill()
		x.p.fatalf("the step did not end within %s\n%s", x.p.Slow, x.log.String())
	}
	x.poll()
	return attemptEnd{events: x.seen, code: x.cmd.ProcessState.ExitCode(), log: x.log.String()}
}

// attemptEnd is what an attempt left.
type attemptEnd struct {
	events []pipelines.Event
	code   int
	log    string
}

// tail is the end of what the step printed.
func (a attemptEnd) tail() string {
	lines := strings.Split(strings.TrimSpace(a.log), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (a attemptEnd) result() pipelines.StepResult {
	for _, e := range a.events {
		if e.Result != nil {
			return *e.Result
		}
	}
	return pipelines.StepResult{}
}

func (a attemptEnd) applied() (c pipelines.ConfigApplied, ok bool) {
	for _, e := range a.events {
		if e.ConfigApplied != nil {
			return *e.ConfigApplied, true
		}
	}
	return c, false
}

// checkpoints are those announced, in order, without latest and best.
func (a attemptEnd) checkpoints() []pipelines.Checkpoint {
	var out []pipelines.Checkpoint
	for _, e := range a.events {
		if c := e.Checkpoint; c != nil && c.Name != "latest" && c.Name != "best" {
			out = append(out, *c)
		}
	}
	return out
}

// run runs an attempt to its end.
func (p *probe) run(task pipelines.Task) attemptEnd { return p.start(task).wait() }

// complete runs an attempt that must complete.
func (p *probe) complete(task pipelines.Task) attemptEnd {
	a := p.run(task)
	if r := a.result(); r.State != pipelines.StatusCompleted || a.code != 0 {
		p.fatalf("attempt %d ended with exit code %d, state %q, error %q\n%s", task.Attempt, a.code, r.State, r.Error, a.tail())
	}
	return a
}

// whole is a training that nobody disturbed, made once.
func (p *probe) whole() attemptEnd {
	if u := p.shared; !u.done {
		u.task = p.task()
		u.end = p.complete(u.task)
		u.done = true
	}
	return p.shared.end
}

// exact tells whether a resumed training must end as an uninterrupted one.
func (p *probe) exact() bool {
	if p.Inexact != "" {
		return false
	}
	r := p.whole().result()
	return p.Exact == nil || r.Latest == nil || p.Exact(r.Latest.Path)
}

// final returns the trained values at the end of a training.
func (p *probe) final(a attemptEnd) []byte {
	r := a.result()
	if r.Latest == nil {
		p.fatalf("the result has no latest checkpoint")
	}
	b, err := p.Weights(r.Latest.Path)
	if err != nil {
		p.fatalf("the weights of %s: %v", r.Latest.Path, err)
	}
	return b
}

// curve is every number of the training but those that tell of time.
func curve(a attemptEnd) map[string]float64 {
	out := map[string]float64{}
	for _, e := range a.events {
		if m := e.Metrics; m != nil {
			for k, v := range m.Values {
				if !strings.Contains(k, "second") && !strings.Contains(k, "time") {
					out[fmt.Sprintf("%s/%s@%d.%d", m.Split, k, m.Epoch, m.GlobalStep)] = v
				}
			}
		}
		if v := e.Validation; v != nil {
			for k, x := range v.Metrics {
				out[fmt.Sprintf("%s/%s@%d.%d", v.Split, k, v.Epoch, v.GlobalStep)] = x
			}
		}
	}
	return out
}

// WeightFiles hashes the numbers of a torch file, or the weights.* and
// *.safetensors under a path, or all files where there are none.
func WeightFiles(path string) ([]byte, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	if sum, ok, err := tensors(path); ok || err != nil {
		return sum, err
	}
	var weights, all []string
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all = append(all, file)
		if strings.HasPrefix(d.Name(), "weights.") || strings.HasSuffix(d.Name(), ".safetensors") {
			weights = append(weights, file)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(weights) == 0 {
		weights = all
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("%s has no files", path)
	}
	h := sha256.New()
	for _, file := range weights {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		h.Write(b)
	}
	return h.Sum(nil), nil
}
