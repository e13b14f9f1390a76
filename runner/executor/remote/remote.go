// Package remote runs each attempt of a step on another machine, a `runner
// serve`.
//
// On this machine a client process follows the attempt: the local executor
// starts it, in a session of its own and with the attempt's lock, so that it
// outlives the runner and any later runner finds it. It hands the task to the
// server, writes home the events that the step there writes into its spool,
// fetches checkpoints and artifacts as they appear, and ends as the step ended.
// A server that is away is asked again for as long as it takes.
//
// Package host is the server's side. There the local executor runs the step, so
// that it outlives the server as well.
package remote

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	"github.com/trainwright/trainwright/runner/driver"
)

// Config is an executor block.
type Config struct {
	URL   string
	Token pipelines.Secret
	// Root is the folder of this machine whose data the server finds under its own.
	Root string
	GPUs int // that steps have there; 0 = they train on the CPU
}

// Parse reads an executor block. A block without attributes is that of a run
// that is only followed or stopped.
func Parse(c pipelines.ExecutorConfig) (Config, error) {
	var out Config
	for name, v := range c.Attributes {
		ok := true
		switch name {
		case "url":
			out.URL, ok = v.(string)
		case "root":
			out.Root, ok = v.(string)
		case "token":
			if text, plain := v.(string); plain {
				v = pipelines.NewSecret(text)
			}
			out.Token, ok = v.(pipelines.Secret)
		case "gpus":
			var n int64
			if n, ok = v.(int64); ok {
				out.GPUs = int(n)
			} else {
				out.GPUs, ok = v.(int)
			}
		}
		if !ok {
			return out, pipelines.Errorf(pipelines.CodeInvalid, "%s: %s cannot be %v", c.Address, name, v)
		}
	}
	if out.URL == "" {
		return out, nil
	}
	_, err := client.New(out.URL, "")
	return out, err
}

// Executor runs attempts on a server.
type Executor struct {
	Config Config
	// Host runs the client's process on this machine.
	Host runner.Executor
	// Program is this program's path. `PROGRAM remote SPEC` must call Drive.
	Program string
	// PublicOnly keeps the client from addresses of private networks and of
	// this machine: the address was named by a stranger.
	PublicOnly bool
}

var (
	_ runner.Executor = (*Executor)(nil)
	_ runner.Noter    = (*Executor)(nil)
	_ runner.Refuser  = (*Executor)(nil)
)

const (
	specFile   = "remote.json"        // what the client does
	noteFile   = "remote-exit.json"   // how the attempt ended, as the server told it
	statusFile = "remote-status.json" // what it waits for
)

// tokenVariable is the client's own.
const tokenVariable = "RUNNER_REMOTE_TOKEN"

// spec is remote.json. It holds no secrets.
type spec struct {
	URL        string   `json:"url"`
	PublicOnly bool     `json:"public_only,omitempty"`
	Root       string   `json:"root"`
	RunDir     string   `json:"run_dir"`
	AttemptDir string   `json:"attempt_dir"`
	Order      Order    `json:"order"`  // paths as on this machine
	Secret     []string `json:"secret"` // names of secret variables
}

// homecoming is what the client gets beyond the step's grace, to fetch what it wrote.
const homecoming = 10 * time.Minute

// Run starts, adopts or reads an attempt, as the interface says.
func (e *Executor) Run(ctx context.Context, job runner.Job, sink runner.Sink) (runner.Exit, error) {
	if err := e.driver().Prepare(job, func() (any, error) { return e.spec(job) }); err != nil {
		return runner.Exit{}, err
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	if job.Tell != nil {
		go tellStatus(watched, job)
	}
	exit, err := e.Host.Run(ctx, e.client(job), sink)
	if err != nil {
		return exit, err
	}
	var told runner.Exit
	known, err := durable.ReadJSON(filepath.Join(job.Task.AttemptDir, noteFile), &told)
	if err != nil || !known {
		return exit, err
	}
	told.Images = exit.Images
	return told, nil
}

// tellStatus passes on what the client waits for, until ctx ends.
func tellStatus(ctx context.Context, job runner.Job) {
	said := ""
	for runner.Sleep(ctx, time.Second) {
		var now status
		if ok, err := durable.ReadJSON(filepath.Join(job.Task.AttemptDir, statusFile), &now); ok && err == nil && now.Waiting != said {
			if said = now.Waiting; said != "" {
				job.Tell(said)
			}
		}
	}
}

// Cancel has the client ask the server to stop the step, and returns once both
// have ended.
func (e *Executor) Cancel(ctx context.Context, job runner.Job) error {
	return e.Host.Cancel(ctx, e.client(job))
}

// Probe tells whether the attempt's client lives.
func (e *Executor) Probe(ctx context.Context, a pipelines.Attempt) (runner.Liveness, error) {
	return e.Host.Probe(ctx, a)
}

// Notes says at plan where data is looked for.
func (e *Executor) Notes(_ pipelines.Step, data *pipelines.DatasetReport) []string {
	if data == nil || e.Config.URL == "" {
		return nil
	}
	at := "the address that its block says" // in a bucket, or in an archive
	if rel, err := relative(e.Config.Root, data.Path); err == nil {
		at = rel + " under its --data-root"
	}
	return []string{fmt.Sprintf("the server %s reads the dataset %q at %s, and refuses it if its fingerprint is another", e.Config.URL, data.Name, at)}
}

// Refuses tells which steps no server runs for others.
func (e *Executor) Refuses(step pipelines.Spec) error {
	if step.Command != nil {
		return pipelines.Errorf(pipelines.CodeInvalid, "a step block runs in a container; executor \"remote\" runs train, evaluate and export")
	}
	if step.Dataset == nil || e.Config.URL == "" {
		return nil
	}
	_, err := under(e.Config.Root, *step.Dataset)
	return err
}

func (e *Executor) driver() driver.Driver {
	return driver.Driver{Program: e.Program, Command: "remote", File: specFile}
}

// client is the job of the process on this machine.
func (e *Executor) client(job runner.Job) runner.Job {
	out := e.driver().Job(job)
	out.Timeout, out.Grace = 0, job.Grace+homecoming // the server keeps the step's own
	out.Secrets[tokenVariable] = e.Config.Token
	return out
}

// spec describes what the client does. What speaks against it is said before
// anything starts.
func (e *Executor) spec(job runner.Job) (spec, error) {
	if e.Config.URL == "" {
		return spec{}, pipelines.Errorf(pipelines.CodeInvalid, "the executor of %s names no server: url is missing", job.Task.Address)
	}
	return spec{URL: e.Config.URL, PublicOnly: e.PublicOnly, Root: e.Config.Root, RunDir: job.Task.RunDir, AttemptDir: job.Task.AttemptDir,
		Secret: slices.Sorted(maps.Keys(job.Secrets)),
		Order:  Order{Task: job.Task, Dataset: job.Dataset, Adapter: job.Adapter, Env: job.Env, Timeout: job.Timeout, Grace: job.Grace},
	}, e.Refuses(pipelines.Spec{Command: job.Task.Command, Dataset: job.Dataset})
}

// under makes the paths of a dataset relative to root.
func under(root string, d pipelines.DatasetSpec) (out pipelines.DatasetSpec, err error) {
	out = d
	if d.Path != "" {
		if out.Path, err = relative(root, d.Path); err != nil {
			return out, err
		}
	}
	if d.Paths != nil {
		out.Paths = map[string]string{}
		for split, path := range d.Paths {
			if out.Paths[split], err = relative(root, path); err != nil {
				return out, err
			}
		}
	}
	out.Union = nil
	for _, u := range d.Union {
		inner, err := under(root, u)
		if err != nil {
			return out, err
		}
		out.Union = append(out.Union, inner)
	}
	return out, nil
}

// relative is the path below root, with slashes. An address is the same there.
func relative(root, path string) (string, error) {
	if strings.Contains(path, "://") {
		return path, nil
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", pipelines.Errorf(pipelines.CodeInvalid,
			"the data %s lies outside of %s, the folder that stands for the server's --data-root; move it there, or name another folder with root in the executor block", path, root)
	}
	return filepath.ToSlash(rel), nil
}
