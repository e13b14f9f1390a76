package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// Config is everything that the command touches. Main fills it from the
// process; tests fill it with fakes.
type Config struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Env    []string // KEY=value, as os.Environ

	Adapters adapters.Registry
	Steps    map[string]adapters.StepFunc // adapter name -> what `runner step` runs in this process
	Now      func() time.Time
}

// patience is how long further signals are ignored after the first: programs
// such as timeout(1) signal a process and its group, and mean it once.
const patience = time.Second

// Run executes one command line and returns its exit code. SIGINT and SIGTERM
// end the context that commands work under; a later one ends the process.
func Run(ctx context.Context, cfg Config) int {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) }) // from then on a signal has its default action

	a := newApp(cfg)
	root := newRoot(a)
	root.SetArgs(normalizeArgs(root, cfg.Args))
	return a.finish(execute(ctx, root))
}

// execute runs the command; a panic becomes an error, so that nobody is left
// with a stack trace and no word of what to do.
func execute(ctx context.Context, root *cobra.Command) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = pipelines.Errorf(pipelines.CodeInternal,
				"this is a defect in runner %s: %v\nPlease report it with the command line, the files and this trace:\n%s", Version, p, debug.Stack())
		}
	}()
	return root.ExecuteContext(ctx)
}
