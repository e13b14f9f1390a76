package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/trainwright/trainwright/internal/report"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web"
)

// pageServer serves the page about an apply for as long as it works: on
// loopback, for reading.
type pageServer struct {
	app  *app
	url  string
	once sync.Once
	stop func()
}

// servePage begins to serve the page over the apply's own store.
func (a *app) servePage(ctx context.Context, s *session) (*pageServer, error) {
	// Nobody has this token: nothing can be changed through the page.
	token, err := web.GivenToken("none", web.ScopeRead, rand.Text()+rand.Text())
	if err != nil {
		return nil, err
	}
	server, err := web.New(web.Config{
		Store: s.store, Control: s.applier, Adapters: a.Adapters, Tokens: web.Tokens{token}, Picture: report.Thumbnail, Version: Version, Log: a.log, Now: a.Now,
		Drain: time.Second,
	})
	if err != nil {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("--ui: %w", err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(serving, ln); err != nil {
			a.log.Warn("the page is not served any more", "error", err)
		}
	}()
	p := &pageServer{app: a, url: "http://" + ln.Addr().String() + "/", stop: func() { stop(); <-done }}
	fmt.Fprintf(a.Stderr, "Page, while this apply works: %s\n", p.url)
	return p, nil
}

// Observe opens the page of the first run that starts.
func (p *pageServer) Observe(n runner.Notice) {
	if n.Type == runner.NoticeStepStarted || n.Type == runner.NoticeStepAdopted {
		p.once.Do(func() { p.app.browse(p.url + "#/runs/" + n.RunID) })
	}
}

// browse opens a page in the user's browser, where there is one.
func (a *app) browse(url string) {
	opener := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		opener = "open"
	case a.env["DISPLAY"] == "" && a.env["WAYLAND_DISPLAY"] == "":
		return
	}
	path, err := exec.LookPath(opener)
	if err != nil {
		return
	}
	cmd := exec.Command(path, url)
	if err := cmd.Start(); err != nil {
		a.log.Warn("the browser cannot be started", "error", err)
		return
	}
	go func() { _ = cmd.Wait() }() // it may say what it likes
}
