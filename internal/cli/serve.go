package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/report"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/postgres"
	"github.com/trainwright/trainwright/web"
)

// serveFlags are those of serve.
type serveFlags struct {
	storeFlags
	policyFlags
	addr      string
	cert, key string
	proxy     bool
	hosts     []string
	audit     string
	framework string
	newTokens bool
	workers   int
	lease     time.Duration
}

func newServeCmd(a *app) *cobra.Command {
	var f serveFlags
	c := describe(&cobra.Command{
		Use:   "serve [PATH]",
		Short: "Serve status, metrics, live events and schemas over HTTP",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.listenOn(a.env["PORT"], c.Flags().Changed("addr"))
			return a.serve(c.Context(), a.pipelinePath(args), f)
		},
	}, `
Answers HTTP about the runs in a pipeline's state until it is stopped; then it
lets open requests end and exits with 0. docs/api.md lists the routes, and
/openapi.json describes them.

On 127.0.0.1 reading needs no token; whatever changes something needs one that
may write. Two tokens are made at the first start and shown that once; the state
folder keeps their hashes. RUNNER_TOKEN (write) and RUNNER_READ_TOKEN, where one
is set, replace both; RUNNER_ADMIN_TOKEN may make others (runner tokens).

It applies the pipelines that it is handed, --workers at once, with paths under
--data-root and nothing else of this machine but what the --allow flags name.

An address that other machines reach needs --tls-cert and --tls-key, or
--trusted-proxy; reading needs a token then. Without --store and RUNNER_STORE a
postgres:// address in DATABASE_URL is the store. With PORT in the environment
and no --addr it serves on 0.0.0.0:PORT behind a proxy that ends TLS, as
platforms do it.`)
	f.storeFlags.register(c)
	f.policyFlags.register(c)
	c.Flags().StringVar(&f.addr, "addr", "127.0.0.1:8000", "serve on `HOST:PORT`")
	c.Flags().StringVar(&f.cert, "tls-cert", "", "the certificate chain: a PEM `FILE`")
	c.Flags().StringVar(&f.key, "tls-key", "", "its private key: a PEM `FILE`")
	c.Flags().BoolVar(&f.proxy, "trusted-proxy", false, "a proxy in front ends TLS; reading needs a token also on 127.0.0.1")
	c.Flags().StringSliceVar(&f.hosts, "allowed-host", nil, "also answer to the host `NAME`; reading needs a token then")
	c.Flags().StringVar(&f.audit, "audit", "", "append a line of JSON to `FILE` for every request that changes something, refused ones too")
	c.Flags().StringVar(&f.framework, "default-framework", "native", "the adapter `NAME` is asked where a request names none")
	c.Flags().IntVar(&f.workers, "workers", 2, "work on `N` queued applies at once; 0 = none")
	c.Flags().DurationVar(&f.lease, "lease", 30*time.Second, "another machine takes up the work of one that was not heard of for `DURATION`")
	c.Flags().BoolVar(&f.newTokens, "new-tokens", false, "make new tokens; no server that starts from now on takes the old ones")
	return c
}

// listenOn takes the port that a platform gives, unless an address was written:
// the platform's proxy ends TLS.
func (f *serveFlags) listenOn(port string, written bool) {
	if port != "" && !written {
		f.addr, f.proxy = net.JoinHostPort("0.0.0.0", port), f.proxy || f.cert == ""
	}
}

func (a *app) serve(ctx context.Context, path string, f serveFlags) error {
	if (f.cert == "") != (f.key == "") {
		return usagef("--tls-cert and --tls-key belong together")
	}
	a.declareAdapters(ctx)
	public, err := web.Bind(f.addr, f.cert != "", f.proxy || len(f.hosts) > 0)
	if err != nil {
		return err
	}
	if database := a.env["DATABASE_URL"]; f.store == "" && a.env["RUNNER_STORE"] == "" && postgres.Is(database) {
		f.store = database // as platforms name it
	}
	store, place, err := a.openExisting(ctx, path, f.storeFlags)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		store, err = place.open(ctx) // served before the first apply
	}
	if err != nil {
		return err
	}
	defer store.Close()
	tokens, made, err := a.tokens(place, f.newTokens)
	if err != nil {
		return err
	}
	if made != nil {
		fmt.Fprintf(a.Stderr, "Tokens, shown this once (runner serve --new-tokens makes others):\n  write  %s\n  read   %s\n", made[web.ScopeWrite], made[web.ScopeRead])
	}
	policy, saveRoot, err := a.policy(f.policyFlags, place)
	if err != nil {
		return err
	}
	services, err := a.services(place.dir)
	if err != nil {
		return err
	}
	evaluator, err := a.evaluator(services.evaluating(policy), place)
	if err != nil {
		return err
	}
	log := newLogger(a.Stderr, cmp.Or(a.env["RUNNER_LOG"], "info"), a.redactor) // who changed what is told unless told otherwise
	audit, closeAudit, err := a.auditLog(f.audit)
	if err != nil {
		return err
	}
	defer closeAudit()
	services.log = log
	services.meet(ctx)
	if _, err := a.adapter(f.framework); err != nil {
		return err
	}
	policy.Services = services.list
	work := a.newWorkers(store, place, f, policy, log)
	var queue runner.Queue
	if work != nil {
		queue = work.queue
		if f.workers > 0 {
			working, stop := context.WithCancel(ctx)
			defer stop()
			go work.run(working)
		}
	}
	var tasks web.Tasks
	if f.workers > 0 {
		hosting, stop := context.WithCancel(ctx)
		h := a.newHost(hosting, store, place, policy, f.buckets, log)
		defer h.Wait()
		defer stop()
		tasks = h
	}
	reports, _ := store.(web.Reports)
	server, err := web.New(web.Config{
		Store: store, Control: a.watcher(store, place), Adapters: a.Adapters, Tokens: tokens, TokenStore: store, Audit: audit, Secure: f.cert != "" || f.proxy,
		Evaluator: evaluator, SaveRoot: saveRoot, Datasets: offered{policy.DataRoot}, Picture: report.Thumbnail,
		Queue: queue, Reports: reports, Remote: store, Tasks: tasks, Services: services, GPUs: countGPUs(),
		Framework: f.framework, Public: public, Hosts: f.hosts, Version: Version, Log: log, Now: a.Now,
	})
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", f.addr)
	if err != nil {
		return pipelines.Errorf(pipelines.CodeUnavailable, "--addr %s: %w", f.addr, err)
	}
	scheme := "http"
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(a.path(f.cert), a.path(f.key))
		if err != nil {
			_ = ln.Close()
			return usagef("--tls-cert, --tls-key: %w", err)
		}
		scheme = "https"
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	here := serving{V: 1, URL: scheme + "://" + ln.Addr().String(), Store: place.path, Public: public}
	if err := a.show(here, func(w io.Writer) {
		fmt.Fprintf(w, "Serving %s on %s\n", here.Store, here.URL)
	}); err != nil {
		_ = ln.Close()
		return err
	}
	if !public && !a.json {
		fmt.Fprintf(a.Stderr, "Log in, once within 15 minutes: %s%s\n", here.URL, server.LoginPath())
	}
	return server.Serve(ctx, ln)
}

// auditLog opens the file that --audit names for appending.
func (a *app) auditLog(name string) (io.Writer, func(), error) {
	if name == "" {
		return nil, func() {}, nil
	}
	f, err := os.OpenFile(a.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usagef("--audit: %w", err)
	}
	return f, func() { _ = f.Close() }, nil // each line is written at once
}

// serving is where the server is, for programs.
type serving struct {
	V      int    `json:"v"`
	URL    string `json:"url"`
	Store  string `json:"store"`
	Public bool   `json:"public"` // reading needs a token
}

// tokensFile holds the hashes of the server's tokens, in the state folder.
const tokensFile = "serve-tokens.json"

// tokens are those of the environment, else those of the state folder.
func (a *app) tokens(place storePlace, renew bool) (ts web.Tokens, made map[web.Scope]string, err error) {
	for _, given := range []struct {
		name  string
		scope web.Scope
	}{{"RUNNER_ADMIN_TOKEN", web.ScopeAdmin}, {"RUNNER_TOKEN", web.ScopeWrite}, {"RUNNER_READ_TOKEN", web.ScopeRead}} {
		if secret := a.env[given.name]; secret != "" {
			t, err := web.GivenToken(given.name, given.scope, secret)
			if err != nil {
				return nil, nil, err
			}
			a.redactor.add(secret, 1)
			ts = append(ts, t)
		}
	}
	if len(ts) > 0 {
		if renew {
			return nil, nil, usagef("--new-tokens has no effect while RUNNER_TOKEN or RUNNER_READ_TOKEN is set")
		}
		return ts, nil, nil
	}
	return web.LoadTokens(filepath.Join(place.dir, tokensFile), renew, a.Now())
}
