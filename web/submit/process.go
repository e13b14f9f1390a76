package submit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Operation is what is done with a submission.
type Operation string

const (
	// Validate checks the texts: it touches no data and no state.
	Validate Operation = "validate"
	// Plan compares with the state; it inspects datasets and changes nothing.
	Plan Operation = "plan"
	// Assist answers an editor's question about texts that are being written.
	Assist Operation = "assist"
)

// Request is what the child reads from its standard input, as JSON.
type Request struct {
	Operation  Operation  `json:"operation"`
	Submission Submission `json:"submission"`
	Policy     Policy     `json:"policy"`
	Store      string     `json:"store,omitempty"` // the state, for Plan
	Cache      string     `json:"cache,omitempty"` // file that remembers inspected datasets
	GPUs       int        `json:"gpus,omitempty"`
	Question   *Question  `json:"question,omitempty"` // for Assist
}

// Result is what evaluating found.
type Result struct {
	hclspec.Report
	Pipeline string   `json:"pipeline,omitempty" doc:"its name"`
	Steps    []string `json:"steps,omitempty" doc:"addresses of its steps"`
	// Sensitive are names of sensitive variables whose values were sent: what
	// is kept must not have them.
	Sensitive []string        `json:"sensitive,omitempty" doc:"sensitive variables whose values were sent, which is refused where the pipeline would be kept"`
	Plan      json.RawMessage `json:"plan,omitempty" doc:"what apply would do, as runner plan --json shows it; not there when there are errors that stop planning"`
}

// Answer is what the child writes to its standard output, as JSON.
type Answer struct {
	Result     Result         `json:"result"`
	Assistance *Assistance    `json:"assistance,omitempty"` // of Assist
	Code       pipelines.Code `json:"code,omitempty"`       // of what went wrong besides diagnostics
	Error      string         `json:"error,omitempty"`
}

// Limits bound one child.
type Limits struct {
	CPU    time.Duration // of all its threads
	Memory uint64        // bytes of writable memory
	Wall   time.Duration
}

// LimitsOf are those of an operation.
func LimitsOf(op Operation) Limits {
	if op == Plan { // reads datasets
		return Limits{CPU: 2 * time.Minute, Memory: 2 << 30, Wall: time.Minute}
	}
	return Limits{CPU: 3 * time.Second, Memory: 1 << 30, Wall: 10 * time.Second}
}

// Process evaluates submissions, each in a child of its own: a session of its
// own with an environment of nothing but Policy.Env, ended with its group
// when it takes longer than its limits.
type Process struct {
	Command []string // argv of the child, which gets its limits as further arguments
	Policy  Policy
	Store   string
	Cache   string
	GPUs    int
	Environ func(name string) (string, bool)
	Log     *slog.Logger // what children say on standard error; nil = none

	Parallel int // children at once; 0 = 2
	Waiting  int // submissions that wait for one at most; 0 = 32

	slots   chan struct{}
	waiting *atomic.Int64
}

// NewProcess completes p.
func NewProcess(p Process) *Process {
	if p.Parallel <= 0 {
		p.Parallel = 2
	}
	if p.Waiting <= 0 {
		p.Waiting = 32
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	p.slots, p.waiting = make(chan struct{}, p.Parallel), &atomic.Int64{}
	return &p
}

const maxAnswer = 64 << 20 // bytes of a child's answer

// Evaluate does op with s. What the submission says wrong is in the result's
// diagnostics, and so is that it took more than it may; an error says that the
// request is none (invalid), that too many wait (unavailable), or what stopped
// planning.
func (p *Process) Evaluate(ctx context.Context, op Operation, s Submission) (Result, error) {
	answer, err := p.ask(ctx, Request{Operation: op, Submission: s, Store: p.Store, Cache: p.Cache, GPUs: p.GPUs})
	return answer.Result, err
}

// ask starts a child for a request and waits for its answer. That a limit
// ended it is a diagnostic of the result.
func (p *Process) ask(ctx context.Context, r Request) (Answer, error) {
	if err := r.Submission.Check(); err != nil {
		return Answer{}, err
	}
	release, err := p.enter(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer release()
	dir, cleanup, err := workspace(r.Submission)
	if err != nil {
		return Answer{}, err
	}
	defer cleanup()
	r.Policy = p.Policy
	request, err := json.Marshal(r)
	if err != nil {
		return Answer{}, pipelines.Errorf(pipelines.CodeInvalid, "the submission cannot be passed on: %w", err)
	}
	answer, why, err := p.run(ctx, dir, LimitsOf(r.Operation), request)
	if err != nil {
		return Answer{}, err
	}
	if why != "" {
		d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Evaluation takes too much", Detail: "Evaluating the pipeline " + why + ". Simplify it."}
		return Answer{Result: Result{Report: hclspec.NewReport(nil, hcl.Diagnostics{d})}}, nil
	}
	if answer.Code != "" {
		return answer, pipelines.Errorf(answer.Code, "%s", answer.Error)
	}
	return answer, nil
}

// enter waits for a slot.
func (p *Process) enter(ctx context.Context) (release func(), err error) {
	if p.waiting.Add(1) > int64(p.Waiting+p.Parallel) {
		p.waiting.Add(-1)
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "too many pipelines wait for being evaluated; try again in a moment")
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; p.waiting.Add(-1) }, nil
	case <-ctx.Done():
		p.waiting.Add(-1)
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "no time was left to evaluate the pipeline: %w", ctx.Err())
	}
}

// workspace is the folder that the child works in: an empty one with the lock
// file, where one was sent.
func workspace(s Submission) (dir string, cleanup func(), err error) {
	lock, ok := s.Files[runner.LockFileName]
	if !ok {
		return "/", func() {}, nil
	}
	dir, err = os.MkdirTemp("", "runner-submission-")
	if err != nil {
		return "", nil, fmt.Errorf("submission: %w", err)
	}
	cleanup = func() { _ = os.RemoveAll(dir) } // a folder of ours under the system's temporary ones
	if err := os.WriteFile(dir+"/"+runner.LockFileName, []byte(lock), 0o600); err != nil {
		cleanup()
		return "", nil, fmt.Errorf("submission: %w", err)
	}
	return dir, cleanup, nil
}

// run starts a child and waits for its answer. why says that it was ended by a
// limit.
func (p *Process) run(ctx context.Context, dir string, limits Limits, request []byte) (answer Answer, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Wall)
	defer cancel()
	argv := append(slices.Clone(p.Command), "--cpu="+limits.CPU.String(), "--wall="+limits.Wall.String(), "--memory="+strconv.FormatUint(limits.Memory, 10))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{} // nil would be the server's own
	for _, name := range p.Policy.Env {
		if v, ok := p.Environ(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdin = bytes.NewReader(request)
	stdout, stderr := &bounded{max: maxAnswer}, &bounded{max: 16 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return answer, "", fmt.Errorf("evaluating a submission: %w", err)
	}
	werr := cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nothing of its group is left behind
	if text := stderr.String(); text != "" {
		p.Log.Warn("evaluating a submission", "stderr", text)
	}
	if !stdout.over && json.Unmarshal(stdout.Bytes(), &answer) == nil {
		return answer, "", nil
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return answer, fmt.Sprintf("took more than %s", limits.Wall), nil
	case ctx.Err() != nil:
		return answer, "", pipelines.Errorf(pipelines.CodeUnavailable, "the evaluation was broken off: %w", ctx.Err())
	case stdout.over:
		return answer, fmt.Sprintf("has a result of more than %d MB", maxAnswer>>20), nil
	case signalled(cmd.ProcessState, syscall.SIGXCPU) || signalled(cmd.ProcessState, syscall.SIGKILL):
		return answer, fmt.Sprintf("took more than %s of CPU time", limits.CPU), nil
	case bytes.Contains(stderr.Bytes(), []byte("out of memory")) || bytes.Contains(stderr.Bytes(), []byte("cannot allocate memory")):
		return answer, fmt.Sprintf("took more than %d MB of memory", limits.Memory>>20), nil
	}
	return answer, "", fmt.Errorf("evaluating a submission: the child ended without an answer: %w", werr)
}

func signalled(s *os.ProcessState, sig syscall.Signal) bool {
	ws, ok := s.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == sig
}

// bounded keeps the first max bytes and takes the rest.
type bounded struct {
	bytes.Buffer
	max  int
	over bool
}

// Write never fails: a child that says too much is told by over.
func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if room := b.max - b.Len(); len(p) > room {
		b.over = true
		p = p[:room]
	}
	b.Buffer.Write(p)
	return n, nil
}

var _ io.Writer = (*bounded)(nil)
