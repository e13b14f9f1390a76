package pod

import (
	"context"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
)

// SendPatience is how long a pod that is to stop tries to send what its step
// left, once the step has ended.
const SendPatience = 55 * time.Second

// sendPatience is how long any other pod waits for a bucket that is away.
const sendPatience = 6 * time.Hour

// carried runs the attempt; without a volume its files come from a bucket and
// go there. A result counts once what it speaks of has arrived: until then it
// is held back.
func carried(ctx context.Context, x runner.Executor, o Options, out *printer) runner.Exit {
	if o.Place == nil {
		return run(ctx, x, o, out)
	}
	if err := o.Place.Fetch(ctx); err != nil {
		return notCarried("what the step needs could not be fetched", err)
	}
	if o.Rank > 0 {
		return run(ctx, x, o, out)
	}
	asked, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	runDir := filepath.Dir(filepath.Dir(filepath.Dir(o.Task)))
	keeper, err := o.Place.Keep(ctx, runDir, func(text string) { out.output([]byte(text + "\n")) })
	if err != nil {
		return notCarried("what the step will make could not be prepared for", err)
	}
	out.holdResult = true
	exit := run(ctx, x, o, out)
	if err := finish(ctx, asked, keeper); err != nil {
		return notCarried("what the step made could not be sent", err)
	}
	if err := out.release(); err != nil {
		return notCarried("the step's result could not be written", err)
	}
	return exit
}

// finish sends the rest. A pod that is to stop has a minute for it.
func finish(ctx, asked context.Context, keeper *work.Keeper) error {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	defer context.AfterFunc(asked, func() { time.AfterFunc(SendPatience, cancel) })()
	return keeper.Finish(ctx, ExitFile, spool.LogFile)
}

func notCarried(what string, err error) runner.Exit {
	cause := pipelines.CauseInfrastructure
	if pipelines.CodeOf(err) == pipelines.CodeInvalid {
		cause = pipelines.CauseConfig
	}
	return runner.Exit{Code: 125, Cause: cause, Message: fmt.Sprintf("%s: %s", what, err)}
}
