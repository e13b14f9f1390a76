package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// Store is the part of runner.Store that is served: reading.
type Store interface {
	Run(ctx context.Context, id string) (pipelines.Run, error)
	RunByJob(ctx context.Context, jobID int64) (pipelines.Run, error)
	Runs(ctx context.Context, f runner.RunFilter) ([]pipelines.Run, error)
	Standings(ctx context.Context, f runner.RunFilter) ([]runner.Standing, error)
	Attempts(ctx context.Context, runID string) ([]pipelines.Attempt, error)
	Events(ctx context.Context, runID string, after runner.EventID, limit int) ([]pipelines.Event, error)
	Metrics(ctx context.Context, f runner.MetricFilter) ([]runner.MetricRow, error)
	Validations(ctx context.Context, runID string) ([]pipelines.Validation, error)
	Checkpoints(ctx context.Context, runID string) ([]pipelines.Checkpoint, error)
	Artifacts(ctx context.Context, runID string) ([]pipelines.Artifact, error)
	Messages(ctx context.Context, runID string, limit int) ([]runner.MessageRow, error)
}

// Control looks at runs' processes and stops them. *runner.Applier fulfils it.
type Control interface {
	State(ctx context.Context, run pipelines.Run) (runner.RunState, error)
	// States are what is true of runs now, by run id.
	States(ctx context.Context, standings []runner.Standing) map[string]runner.RunState
	// Cancel returns once the run has ended.
	Cancel(ctx context.Context, run pipelines.Run) error
}

// Adapters are what can be trained with. adapters.Registry fulfils it.
type Adapters interface {
	Lookup(name string) (adapters.Adapter, bool)
	Names() []string
	Models(framework, task string) []adapters.Model
}

// Services are adapters that other servers have.
type Services interface {
	// Ask asks an adapter's server for it as it is now; ok is false where no
	// other server has it. The error has code unavailable when it is away.
	Ask(ctx context.Context, name string) (a adapters.Adapter, ok bool, err error)
}

// Tasks runs attempts for clients of executor "remote". *host.Host fulfils it.
type Tasks interface {
	Serve(ctx context.Context, method string, c remote.Call) (remote.Answer, error)
}

// Config is what a Server is made of. Store, Control, Adapters and Tokens are required.
type Config struct {
	Store    Store
	Control  Control
	Adapters Adapters
	Tokens   Tokens
	// TokenStore keeps tokens that are made while the server runs, and
	// sessions; nil = none can be made.
	TokenStore runner.Tokens
	// Secure sends cookies over TLS only; set it where tokens reach the server by TLS.
	Secure bool
	// Audit takes a line of JSON for each request that changes something,
	// refused ones too; nil = only the log tells.
	Audit io.Writer

	// Evaluator takes submitted pipelines; nil = none are taken.
	Evaluator Evaluator
	// SaveRoot is the folder under which submitted pipelines are saved; "" = none are.
	SaveRoot string

	// Datasets are offered where a pipeline is made; nil = none are.
	Datasets Datasets

	// Picture makes a small JPEG of an image file; nil = samples have no pictures.
	Picture func(path string) ([]byte, error)
	// Queue keeps what the server runs; nil = it runs nothing.
	Queue runner.Queue
	// Reports takes events that are sent; nil = none are taken.
	Reports Reports
	// Remote is the store that other machines keep their state in; nil = none may.
	Remote runner.Store

	// Services are adapters that other servers have; nil = none.
	Services Services
	// GPUs are those of this machine that steps may use.
	GPUs int
	// Tasks runs attempts of other machines; nil = none may.
	Tasks Tasks

	// Framework answers where a request names none; "" = native.
	Framework string
	// Public means that others than this machine's users can connect: reading
	// needs a token then. See Bind.
	Public bool
	// Hosts are the names under which the server may be addressed, without
	// port, besides localhost. Unless Public, other names are refused (DNS rebinding).
	Hosts   []string
	Version string
	Log     *slog.Logger     // requests that change something, and failures; nil = none
	Now     func() time.Time // nil = time.Now

	Poll      time.Duration // how often the store is asked for new events of a watched run; 0 = 250 ms
	Heartbeat time.Duration // between comments on a quiet stream; 0 = 15 s
	Stall     time.Duration // how long a stream's reader may not read before it is dropped; 0 = 15 s
	GiveUp    time.Duration // how long a WebSocket's reader may take none before it is closed untold; 0 = three times Stall
	Streams   int           // open streams at most; 0 = 2000
	StopWait  time.Duration // how long a request to stop a run waits for its end; 0 = 3 s
	Drain     time.Duration // given to open requests when the server stops; 0 = 15 s
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.Poll, 250*time.Millisecond)
	def(&c.Heartbeat, 15*time.Second)
	def(&c.Stall, 15*time.Second)
	def(&c.GiveUp, 3*c.Stall)
	def(&c.StopWait, 3*time.Second)
	def(&c.Drain, 15*time.Second)
	if c.Streams <= 0 {
		c.Streams = 2000
	}
	if c.Framework == "" {
		c.Framework = "native"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Bind decides whether addr (host:port) may be served, and whether others than
// this machine's users can connect. Those must not send tokens in the clear:
// outside of loopback the server needs TLS of its own or a proxy that ends it.
func Bind(addr string, tls, proxy bool) (public bool, err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, pipelines.Errorf(pipelines.CodeInvalid, "the address %q is not HOST:PORT: %w", addr, err)
	}
	if loopback(host) {
		return proxy, nil
	}
	if !tls && !proxy {
		return true, pipelines.Errorf(pipelines.CodeInvalid,
			"%s can be reached from other machines, and tokens would cross the network in the clear. Give --tls-cert and --tls-key, or --trusted-proxy when a proxy in front ends TLS, or serve on 127.0.0.1", addr)
	}
	return true, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
