package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	"github.com/trainwright/trainwright/web"
)

func newLogsCmd(a *app) *cobra.Command {
	var flags storeFlags
	var dir string
	var follow bool
	var server serverFlags
	c := describe(&cobra.Command{
		Use:   "logs RUN",
		Short: "Show what a run reported and printed",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			read := readOutput
			if server.server != "" {
				if flags.store != "" {
					return usagef("--server and --store name the same: where the runs are")
				}
				conn, err := a.connect(server)
				if err != nil {
					return err
				}
				flags.store, read = server.server, outputOn(conn)
			}
			store, place, run, err := a.openRun(ctx, dir, args[0], flags)
			if err != nil {
				return err
			}
			defer store.Close()
			a.startStream()
			l := &logReader{app: a, store: store, watch: a.watcher(store, place), run: run, read: read}
			return l.print(ctx, follow)
		},
	}, `
Shows a run's events (epochs, messages, checkpoints) and what its process
printed, of all attempts. RUN is a run's id, its job number, or a step's
address. -f goes on until the run ends. With --server they are those of a runner
serve that trained, what its processes printed included; it needs a write token.`, exitDone, exitError, exitCancelled)
	flags.register(c)
	server.register(c, "a run of")
	c.Flags().StringVar(&dir, "dir", ".", "the pipeline's `FOLDER`")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	return c
}

// logReader follows a run: filed events, and the output files of its attempts.
type logReader struct {
	app     *app
	store   runner.Store
	watch   *runner.Applier
	run     pipelines.Run
	after   runner.EventID
	attempt int   // whose output is read
	offset  int64 // of that output
	rest    []byte
	read    func(ctx context.Context, at pipelines.Attempt, offset int64) (text []byte, next int64, err error)
}

const logPoll = 200 * time.Millisecond

func (l *logReader) print(ctx context.Context, follow bool) error {
	for {
		run, err := l.store.Run(ctx, l.run.ID)
		if err != nil {
			return err
		}
		if err := l.step(ctx); err != nil {
			return err
		}
		if !follow || run.Status.Ended() {
			return l.flush()
		}
		if state, err := l.watch.State(ctx, run); err == nil && state == runner.RunInterrupted && !l.applying(ctx) {
			if err := l.step(ctx); err != nil {
				return err
			}
			return l.flush()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(logPoll):
		}
	}
}

// applying reports that an apply holds the pipeline: a step that has just ended
// is about to be filed.
func (l *logReader) applying(ctx context.Context) bool {
	holder, held, err := l.store.LockHolder(ctx, l.run.Pipeline)
	return err == nil && held && !runner.HolderGone(holder)
}

// step prints what is new.
func (l *logReader) step(ctx context.Context) error {
	for {
		events, err := l.store.Events(ctx, l.run.ID, l.after, 500)
		if err != nil {
			return err
		}
		for _, e := range events {
			l.after = runner.EventID{Attempt: e.Attempt, Seq: e.Seq}
			if err := l.event(e); err != nil {
				return err
			}
		}
		if len(events) < 500 {
			break
		}
	}
	attempts, err := l.store.Attempts(ctx, l.run.ID)
	if err != nil {
		return err
	}
	for _, at := range attempts {
		if at.Number < l.attempt {
			continue
		}
		if at.Number > l.attempt {
			if err := l.flush(); err != nil {
				return err
			}
			l.attempt, l.offset = at.Number, 0
		}
		if err := l.output(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// readOutput reads what an attempt's process printed, from an offset on, and
// says where to go on.
func readOutput(_ context.Context, at pipelines.Attempt, offset int64) (text []byte, next int64, err error) {
	f, err := os.Open(filepath.Join(at.Dir, spool.LogFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, offset, nil
	}
	if err != nil {
		return nil, offset, err
	}
	defer f.Close()
	text, err = io.ReadAll(io.NewSectionReader(f, offset, 16<<20))
	return text, offset + int64(len(text)), err
}

// outputOn reads the same from a server.
func outputOn(c *client.Client) func(context.Context, pipelines.Attempt, int64) ([]byte, int64, error) {
	return func(ctx context.Context, at pipelines.Attempt, offset int64) (text []byte, next int64, err error) {
		for next = offset; ; {
			var page web.Logs
			path := fmt.Sprintf("/api/v1/runs/%s/logs?attempt=%d&offset=%d&limit=1048576&messages=1", at.RunID, at.Number, next)
			if err := c.Get(ctx, path, &page); err != nil || page.Output.Next == next {
				return text, next, err
			}
			text, next = append(text, page.Output.Text...), page.Output.Next
		}
	}
}

// output prints what a process wrote since the last look.
func (l *logReader) output(ctx context.Context, at pipelines.Attempt) error {
	text, next, err := l.read(ctx, at, l.offset)
	if err != nil {
		return err
	}
	l.offset = next
	text = append(l.rest, text...)
	for {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			l.rest = bytes.Clone(text)
			return nil
		}
		if err := l.line(string(text[:i])); err != nil {
			return err
		}
		text = text[i+1:]
	}
}

func (l *logReader) flush() error {
	rest := l.rest
	l.rest = nil
	if len(rest) == 0 {
		return nil
	}
	return l.line(string(rest))
}

// outputLine is a line that the process printed, in the JSON stream.
type outputLine struct {
	Type    string `json:"type"` // output
	Attempt int    `json:"attempt"`
	Text    string `json:"text"`
}

func (l *logReader) line(text string) error {
	if err := l.app.writeLine(outputLine{"output", l.attempt, text}); err != nil || l.app.json {
		return err
	}
	return l.app.printText(func(w io.Writer) { fmt.Fprintln(w, view.Clean("| "+text)) })
}

// eventLine is an event in the JSON stream.
type eventLine struct {
	Type  string          `json:"type"` // event
	RunID string          `json:"run_id"`
	Event pipelines.Event `json:"event"`
}

func (l *logReader) event(e pipelines.Event) error {
	if err := l.app.writeLine(eventLine{"event", l.run.ID, e}); err != nil || l.app.json {
		return err
	}
	text := view.Event(l.app.style(l.app.Stdout), e)
	if text == "" {
		return nil
	}
	return l.app.printText(func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", e.Time.Local().Format("15:04:05"), text) })
}
