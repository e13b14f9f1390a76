// Package driver is what executors share whose attempts run elsewhere, and are
// followed by a process on this machine: the attempt's driver.
//
// The local executor starts it, in a session of its own and with the attempt's
// lock. So it outlives the runner, is adopted by a later one, and is stopped
// like any step. What it does is in a file of the attempt's folder, which has
// no secrets: these come in its environment, apart from what the driver itself
// reads there.
package driver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// Driver says how the drivers of an executor are started.
type Driver struct {
	Program string // this program
	Command string // of it: `PROGRAM COMMAND FILE`
	File    string // name of the file that says what to do
}

// Prepare writes the file, unless the attempt has it already.
func (d Driver) Prepare(job runner.Job, content func() (any, error)) error {
	path := filepath.Join(job.Task.AttemptDir, d.File)
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	v, err := content()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(job.Task.AttemptDir, 0o755); err != nil {
		return err
	}
	return durable.WriteJSON(path, v, 0o644)
}

// secretPrefix begins the names of the step's secrets in the environment.
const secretPrefix = "RUNNER_STEP_SECRET_"

// Job is the job of the driver's process on this machine.
func (d Driver) Job(job runner.Job) runner.Job {
	out := job
	out.Command = adapters.Command{Argv: []string{d.Program, d.Command, filepath.Join(job.Task.AttemptDir, d.File)}}
	out.Env = nil
	out.Secrets = map[string]pipelines.Secret{}
	for name, s := range job.Secrets {
		out.Secrets[secretPrefix+name] = s
	}
	return out
}

// Secrets takes the step's secrets out of this process's environment, which
// programs that it starts inherit.
func Secrets(names []string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		out[name] = os.Getenv(secretPrefix + name)
		_ = os.Unsetenv(secretPrefix + name) // fails for names that no environment has
	}
	return out
}

// Run is the life of the driver's process: work does it, and asked ends when
// the step is to stop. end notes how it ended and returns the exit code. The
// attempt's lock is held until then: whoever waits for it reads the note.
func Run(ctx context.Context, work func(ctx, asked context.Context) error, end func(error) int) int {
	asked, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	lock, err := spool.Inherited()
	if err == nil {
		defer lock.Close()
		err = work(ctx, asked)
	}
	return end(err)
}
