package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	"github.com/trainwright/trainwright/runner/driver"
)

// Drive is the client of one attempt: a process of its own session that holds
// the attempt's lock, hands the task of remote.json to the server and takes
// home what comes of it. On SIGTERM it asks the server to stop the step. It
// returns the process's exit code: that of the step.
func Drive(ctx context.Context, specPath string) int {
	var exit runner.Exit
	return driver.Run(ctx, func(ctx, asked context.Context) (err error) {
		exit, err = drive(context.WithoutCancel(ctx), asked, specPath)
		return err
	}, func(err error) int {
		if err != nil {
			exit = runner.Exit{Code: spool.ExitFailed, Cause: causeOf(err), Message: err.Error()}
			fmt.Fprintln(os.Stderr, "Error:", err)
		}
		if err := durable.WriteJSON(filepath.Join(filepath.Dir(specPath), noteFile), exit, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
		}
		if exit.Code < 0 || exit.Code > 255 {
			return spool.ExitFailed
		}
		return exit.Code
	})
}

// causeOf classifies an error that kept the attempt from being run or followed.
func causeOf(err error) pipelines.Cause {
	switch pipelines.CodeOf(err) {
	case pipelines.CodeInvalid, pipelines.CodeNotFound, pipelines.CodeConflict:
		return pipelines.CauseConfig
	}
	return pipelines.CauseInfrastructure
}

// stopPatience is how long a server may be away while an attempt is stopped.
const stopPatience = 10 * time.Second

// status is remote-status.json.
type status struct {
	Waiting string `json:"waiting"`
}

// attempt is one at work.
type attempt struct {
	spec
	c      *client.Client
	asked  context.Context // ends when somebody asked to stop
	events *os.File
	seq    int64 // of the last event that is home
	told   string
	quiet  bool          // somebody else tells what is waited for
	wake   chan struct{} // files may have appeared
}

func drive(ctx, asked context.Context, specPath string) (runner.Exit, error) {
	d := &attempt{asked: asked, wake: make(chan struct{}, 1)}
	if ok, err := durable.ReadJSON(specPath, &d.spec); err != nil || !ok {
		return runner.Exit{}, fmt.Errorf("read %s: it is there: %v: %w", specPath, ok, err)
	}
	var err error
	options := client.Options{Token: os.Getenv(tokenVariable), TokenName: "the executor block's token", PublicOnly: d.PublicOnly}
	if d.c, err = client.Connect(d.URL, options); err != nil {
		return runner.Exit{}, err
	}
	d.c.Patience = time.Nanosecond // this client says what it waits for
	d.Order.Secrets = driver.Secrets(d.Secret)
	if d.events, err = os.OpenFile(filepath.Join(d.AttemptDir, spool.EventsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return runner.Exit{}, fmt.Errorf("open the event spool: %w", err)
	}
	defer d.events.Close()
	order, err := d.send(ctx)
	if err != nil {
		return runner.Exit{}, err
	}
	return d.follow(ctx, order)
}

// call asks the server, again and again while it is away, unless somebody
// asked to stop: then nobody is to wait for it.
func (d *attempt) call(ctx context.Context, method string, c Call) (Answer, error) {
	c.RunID, c.Attempt = d.Order.Task.RunID, d.Order.Task.Attempt
	for delay, since := 100*time.Millisecond, time.Now(); ; delay = min(2*delay, 5*time.Second) {
		var out Answer
		err := d.c.PostOnce(ctx, "/api/v1/tasks/"+method, c, &out)
		code := pipelines.CodeOf(err)
		if err == nil || ctx.Err() != nil || code != pipelines.CodeUnavailable && code != pipelines.CodeTimeout && code != pipelines.CodeInternal {
			return out, err
		}
		if d.asked.Err() != nil && time.Since(since) > stopPatience {
			return out, fmt.Errorf("%w. It was asked to stop and may run on there until its next attempt", err)
		}
		if time.Since(since) > 2*time.Second {
			d.say(fmt.Sprintf("%s. What runs there goes on, and is followed again when it answers", err))
		}
		if !runner.Sleep(ctx, delay) {
			return out, ctx.Err()
		}
	}
}

// say tells what the attempt waits for; "" = nothing.
func (d *attempt) say(text string) {
	if d.quiet || text == d.told {
		return
	}
	d.told = text
	if text != "" {
		fmt.Fprintln(os.Stderr, "runner:", text)
	}
	if err := durable.WriteJSON(filepath.Join(d.AttemptDir, statusFile), status{text}, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
	}
}

// send makes the order as the server takes it, and sends the files that the
// attempt starts from.
func (d *attempt) send(ctx context.Context) (Order, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(d.asked, stop)() // nothing runs yet
	order := d.Order
	if d.Order.Dataset != nil {
		data, err := under(d.Root, *d.Order.Dataset)
		if err != nil {
			return order, err
		}
		order.Dataset = &data
	}
	var err error
	if order.Task, err = d.sendInputs(ctx, order.Task); err == nil && order.Task.Resume {
		err = d.sendCheckpoints(ctx)
	}
	if d.asked.Err() != nil {
		err = pipelines.Errorf(pipelines.CodeCancelled, "stopped before the task was handed to %s", d.URL)
	}
	return order, err
}

// follow starts the attempt and takes home what it writes, to its end.
func (d *attempt) follow(ctx context.Context, order Order) (runner.Exit, error) {
	if _, err := d.call(ctx, MethodStart, Call{Order: &order}); err != nil {
		return runner.Exit{}, err
	}
	defer context.AfterFunc(d.asked, func() { d.stop(ctx) })()
	data := ""
	if d.Order.Task.Dataset != nil {
		data = d.Order.Task.Dataset.Path
	}

	fetching, halt := context.WithCancel(ctx)
	fetched := make(chan struct{})
	go func() { defer close(fetched); d.fetchOn(fetching) }()
	end := func() { halt(); <-fetched }
	defer end()

	var at, output int64
	for {
		next, err := d.call(ctx, MethodFollow, Call{Offset: at, Output: output, Wait: MaxWait})
		if pipelines.CodeOf(err) == pipelines.CodeNotFound && d.seq == 0 { // it was killed while the attempt waited
			if _, err = d.call(ctx, MethodStart, Call{Order: &order}); err == nil {
				continue
			}
		}
		if err != nil {
			return runner.Exit{}, err
		}
		d.say(next.Waiting)
		paths := newPaths(next.RunDir, d.RunDir, next.DataDir, data, next.Root, d.Root)
		at, output = next.Offset, next.Log
		if _, err := os.Stdout.Write(next.Output); err != nil {
			return runner.Exit{}, fmt.Errorf("write the step's output: %w", err)
		}
		if err := d.take(next.Events, paths); err != nil {
			return runner.Exit{}, err
		}
		if next.Done {
			end()
			if err := d.fetch(ctx); err != nil {
				return runner.Exit{}, fmt.Errorf("fetch the run's files from %s: %w", d.URL, err)
			}
			d.home(ctx)
			exit := *next.Exit
			exit.Message = d.redactor().Text(paths.text(exit.Message))
			return exit, nil
		}
	}
}

// stop asks the server to stop the step, until it has heard.
func (d *attempt) stop(ctx context.Context) {
	quiet := *d
	quiet.quiet = true
	if _, err := quiet.call(ctx, MethodStop, Call{Grace: d.Order.Grace}); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "runner: the step could not be asked to stop:", err)
	}
}

// home tells the server that it may let the run's files go. One that is not
// told keeps them for longer.
func (d *attempt) home(ctx context.Context) {
	c := Call{RunID: d.Order.Task.RunID, Attempt: d.Order.Task.Attempt}
	_ = d.c.PostOnce(ctx, "/api/v1/tasks/"+MethodHome, c, &Answer{})
}

// redactor blanks the step's secrets.
func (d *attempt) redactor() runner.Redactor {
	secrets := map[string]pipelines.Secret{}
	for name, value := range d.Order.Secrets {
		secrets[name] = pipelines.NewSecret(value)
	}
	return runner.NewRedactor(secrets)
}

// take writes lines of the server's spool into this machine's, with this
// machine's paths. What is no event is told there, at the end.
func (d *attempt) take(lines []byte, paths paths) error {
	var out []byte
	files := false
	for line := range bytes.Lines(lines) {
		e, err := spool.Parse(line, d.Order.Task.Attempt)
		if err != nil || e.Seq <= d.seq {
			continue
		}
		if line, err = paths.line(line); err != nil {
			return err
		}
		out = append(append(out, line...), '\n')
		d.seq = e.Seq
		files = files || e.Checkpoint != nil || e.Result != nil
	}
	if len(out) == 0 {
		return nil
	}
	if _, err := d.events.Write(out); err != nil {
		return fmt.Errorf("write the event spool: %w", err)
	}
	if files {
		if err := d.events.Sync(); err != nil {
			return fmt.Errorf("write the event spool: %w", err)
		}
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// paths turns the server's paths into this machine's.
type paths struct{ pairs [][2]string }

func newPaths(pairs ...string) paths {
	var p paths
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != "" && pairs[i+1] != "" {
			p.pairs = append(p.pairs, [2]string{pairs[i], pairs[i+1]})
		}
	}
	return p
}

func (p paths) one(s string) string {
	for _, pair := range p.pairs {
		if s == pair[0] {
			return pair[1]
		}
		if rest, ok := strings.CutPrefix(s, pair[0]+"/"); ok {
			return filepath.Join(pair[1], rest)
		}
	}
	return s
}

// text replaces paths within a text for people.
func (p paths) text(s string) string {
	for _, pair := range p.pairs {
		s = strings.ReplaceAll(s, pair[0]+"/", pair[1]+"/")
	}
	return s
}

// line replaces the paths in an event, and leaves all else as it is.
func (p paths) line(line []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil && err != io.EOF {
		return nil, err
	}
	return json.Marshal(p.walk(v))
}

func (p paths) walk(v any) any {
	switch v := v.(type) {
	case string:
		return p.one(v)
	case []any:
		for i := range v {
			v[i] = p.walk(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = p.walk(v[k])
		}
	}
	return v
}
