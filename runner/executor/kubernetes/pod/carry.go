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

// How long a pod waits for a bucket that is away, before its step and after it.
const (
	fetchPatience = time.Hour
	sendPatience  = 6 * time.Hour
)

// carried runs the attempt; without a volume its files come from a bucket and
// go there. A result counts once what it speaks of has arrived: until then it
// is held back.
func carried(ctx context.Context, x runner.Executor, o Options, out *printer) runner.Exit {
	if o.Place == nil {
		return run(ctx, x, o, out)
	}
	say := func(text string) { out.output([]byte(text + "\n")) }
	if err := fetch(ctx, *o.Place, say); err != nil {
		return notCarried("what the step needs could not be fetched", err)
	}
	if o.Rank > 0 {
		return run(ctx, x, o, out)
	}
	asked, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	steady := context.WithoutCancel(ctx) // a signal ends the step; what it leaves is still sent
	runDir := filepath.Dir(filepath.Dir(filepath.Dir(o.Task)))
	keeper, err := o.Place.Keep(steady, runDir, say)
	if err != nil {
		return notCarried("what the step will make could not be prepared for", err)
	}
	out.holdResult = true
	exit := run(ctx, x, o, out)
	if err := finish(steady, asked, keeper); err != nil {
		return notCarried("what the step made could not be sent", err)
	}
	if err := out.release(); err != nil {
		return notCarried("the step's result could not be written", err)
	}
	return exit
}

// fetch brings what the attempt starts with, waiting for a bucket that is away.
func fetch(ctx context.Context, p work.Place, say func(string)) error {
	end := time.Now().Add(fetchPatience)
	for delay := time.Second; ; delay = min(2*delay, 30*time.Second) {
		err := p.Fetch(ctx)
		if pipelines.CodeOf(err) != pipelines.CodeUnavailable || time.Now().After(end) {
			return err
		}
		say(fmt.Sprintf("what the step needs cannot be fetched now: %s. It is tried again", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
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
