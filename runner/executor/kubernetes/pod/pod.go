// Package pod is the Kubernetes executor's side inside the pod: `runner pod`
// runs one attempt with another executor, which the command hands in, and
// prints the attempt's events, its output and its end to the pod's log.
//
// The step itself keeps to the protocol as everywhere: it appends to the spool
// in its attempt folder, so that nothing depends on anybody reading the log.
package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
)

// ExitFile, in the attempt folder, says how the attempt ended: a runner.Exit.
const ExitFile = "pod-exit.json"

// maxTermination bounds the text in the termination log, which takes 4 KiB.
const maxTermination = 2 << 10

// Options say what `runner pod` runs.
type Options struct {
	Task    string   // path of task.json
	Argv    []string // the step's command line; Task stands in it
	Dir     string   // its working folder; "" = that of this process
	Grace   time.Duration
	Timeout time.Duration
	// SecretEnv names variables of this process whose values are secrets.
	SecretEnv []string
	// Rank of this pod among those of the attempt. Only rank 0 writes events.
	Rank int

	// Place in a bucket that the attempt's files come from and go to; nil =
	// they are on a volume.
	Place *work.Place

	Stdout         io.Writer
	TerminationLog string // takes how it ended; "" = none
}

// Run runs the attempt with x and returns the exit code for the container.
func Run(ctx context.Context, x runner.Executor, o Options) int {
	out := &printer{w: o.Stdout}
	exit := carried(ctx, x, o, out)
	out.exit(exit)
	if o.TerminationLog != "" {
		_ = os.WriteFile(o.TerminationLog, lastWords(exit), 0o644) // the log has it too
	}
	return exitCode(exit)
}

// run runs the attempt and leaves word of its end in its folder.
func run(ctx context.Context, x runner.Executor, o Options, out *printer) runner.Exit {
	exit := attempt(ctx, x, o, out)
	if o.Rank == 0 {
		saveExit(o.Task, exit)
	}
	return exit
}

func attempt(ctx context.Context, x runner.Executor, o Options, out *printer) runner.Exit {
	task, err := spool.ReadTask(o.Task)
	if errors.Is(err, fs.ErrNotExist) {
		return runner.Exit{Code: 125, Cause: pipelines.CauseConfig, Message: fmt.Sprintf(
			"the pod does not see the runner's folder: %s is not there. The executor block needs a volume that is mounted in the pod at the path at which the runner sees it", o.Task)}
	}
	if err == nil && o.Rank > 0 {
		err = apart(&task, &o)
	}
	if err != nil {
		return runner.Exit{Code: 125, Cause: pipelines.CauseInfrastructure, Message: err.Error()}
	}
	job := runner.Job{Task: task, Command: adapters.Command{Argv: o.Argv, Dir: o.Dir}, Grace: o.Grace, Timeout: o.Timeout,
		Secrets: map[string]pipelines.Secret{}}
	for _, name := range o.SecretEnv {
		job.Secrets[name] = pipelines.NewSecret(os.Getenv(name))
	}
	out.redact = runner.NewRedactor(job.Secrets)
	maps.DeleteFunc(job.Secrets, func(name string, _ pipelines.Secret) bool { return runner.OwnSecret(name) })

	ended := make(chan struct{})
	stopped := stopOnSignal(ctx, x, job, ended)
	mirrored := make(chan struct{})
	go func() {
		defer close(mirrored)
		out.mirror(filepath.Join(task.AttemptDir, spool.LogFile), ended)
	}()
	exit, err := x.Run(context.WithoutCancel(ctx), job, func(_ context.Context, events []pipelines.Event) error {
		if o.Rank > 0 {
			return nil
		}
		return out.events(events)
	})
	close(ended)
	<-mirrored
	<-stopped
	if err != nil {
		return runner.Exit{Code: 125, Cause: pipelines.CauseInfrastructure, Message: err.Error()}
	}
	return exit
}

// stopOnSignal asks the step to stop on SIGTERM, again and again until it
// has: one that was just about to start when it was first asked is asked again.
func stopOnSignal(ctx context.Context, x runner.Executor, job runner.Job, ended <-chan struct{}) <-chan struct{} {
	asked, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		select {
		case <-ended:
			return
		case <-asked.Done():
		}
		for {
			_ = x.Cancel(context.WithoutCancel(ctx), job) // asked again below
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return done
}

// apart gives a rank that writes no events a copy of the task in a folder of
// its own, so that two pods never share a spool or a lock.
func apart(task *pipelines.Task, o *Options) error {
	dir, err := os.MkdirTemp("", "trainwright-rank-")
	if err != nil {
		return err
	}
	task.AttemptDir = dir
	path, err := spool.WriteTask(*task)
	if err != nil {
		return err
	}
	o.Argv = slices.Clone(o.Argv)
	for i, a := range o.Argv {
		if a == o.Task {
			o.Argv[i] = path
		}
	}
	return nil
}

// saveExit is for runners that come after the pod and its log are gone.
func saveExit(task string, exit runner.Exit) {
	b, err := json.Marshal(exit)
	if err == nil {
		// The log and the pod's status say it too, as long as they last.
		_ = durable.WriteFile(filepath.Join(filepath.Dir(task), ExitFile), append(b, '\n'), 0o644)
	}
}

// lastWords is the exit as the termination log takes it.
func lastWords(exit runner.Exit) []byte {
	if len(exit.Message) > maxTermination {
		half := maxTermination / 2
		exit.Message = strings.ToValidUTF8(exit.Message[:half], "") + " … " + strings.ToValidUTF8(exit.Message[len(exit.Message)-half:], "")
	}
	b, err := json.Marshal(exit)
	if err != nil {
		return nil
	}
	return b
}

// exitCode is the container's. A step that reported no result has failed,
// whatever its own exit code.
func exitCode(exit runner.Exit) int {
	switch {
	case exit.Code == 0 && exit.Cause != "":
		return 1
	case exit.Code >= 0 && exit.Code < 256:
		return exit.Code
	case exit.Signal == syscall.SIGKILL.String():
		return 128 + int(syscall.SIGKILL)
	}
	return 1
}
