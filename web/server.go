package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	recovery "github.com/gofiber/fiber/v2/middleware/recover"

	"github.com/trainwright/trainwright/pipelines"
)

// Bounds of a request. Fiber's own are open.
const (
	maxBody      = 8 << 20  // bytes; a validation with a large confusion matrix fits
	maxHeader    = 16 << 10 // bytes, the request line included
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second // a stream renews it
	idleTimeout  = 60 * time.Second
	workTimeout  = 20 * time.Second // of one answer's reading of the store
	maxConns     = 4096
)

// Server serves one store.
type Server struct {
	cfg      Config
	app      *fiber.App
	api      huma.API
	routes   []Route
	known    map[string]bool // paths of routes, as Fiber writes them
	document []byte          // OpenAPI
	feeds    *feeds
	reading  places // callbacks that are being read
	filing   places // callbacks that are being filed
	prom     *prom
	files    map[string]pageFile // of the page
	pictures *pictures

	sessions sessions
	auditing sync.Mutex

	stop     context.Context // ends when the server drains
	draining context.CancelFunc
	jobs     sync.WaitGroup // stops at work
	mu       sync.Mutex
	stopping map[string]bool // runs that are being stopped
}

// New makes a server. Serve starts it.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Control == nil || cfg.Adapters == nil || len(cfg.Tokens) == 0 {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "a server needs a store, a control, adapters and a token")
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, reading: make(places, max(1, runtime.GOMAXPROCS(0)-1)), filing: make(places, filingAtOnce), stopping: map[string]bool{}, known: map[string]bool{}}
	s.stop, s.draining = context.WithCancel(context.Background())
	s.feeds = newFeeds(s.stop, cfg)
	s.prom = newProm(cfg, s.feeds)
	s.pictures = newPictures(cfg.Picture)
	var err error
	if s.files, err = page(); err != nil {
		return nil, err
	}
	s.app = fiber.New(fiber.Config{
		DisableStartupMessage: true,
		Immutable:             true, // strings of a request outlive it
		StrictRouting:         true,
		CaseSensitive:         true,
		UnescapePath:          true,
		RequestMethods:        append(slices.Clone(fiber.DefaultMethods), "QUERY"), // to answer it with 405
		BodyLimit:             maxBody,
		ReadBufferSize:        maxHeader,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		Concurrency:           maxConns,
		ErrorHandler:          s.fail,
	})
	s.app.Use(s.observe)
	s.app.Use(recovery.New(recovery.Config{EnableStackTrace: true, StackTraceHandler: func(_ *fiber.Ctx, e any) {
		cfg.Log.Error("a request made the server panic", "panic", e)
	}}))
	s.app.Use(s.guard, timeLimit)
	humaErrors()
	s.api = humafiber.NewWithGroup(s.app, withHead{s.app}, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "runner serve", Version: cfg.Version, Description: "Status, metrics, live events and schemas of Trainwright runs."},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	return s, s.register()
}

// Serve answers on ln until ctx ends, then lets open requests end and closes
// streams, whose readers come back elsewhere by their last event id.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	open := track(ln)
	done := make(chan error, 1)
	go func() { done <- s.app.Listener(open) }()
	select {
	case err := <-done:
		s.draining()
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.draining()
	drained := make(chan struct{})
	go open.hush(min(time.Second, s.cfg.Drain/4), drained)
	err := s.app.ShutdownWithTimeout(s.cfg.Drain)
	close(drained)
	if errors.Is(err, context.DeadlineExceeded) {
		s.cfg.Log.Warn("requests were still open when the time to drain was over", "drain", s.cfg.Drain)
		err = nil
	}
	s.jobs.Wait()
	if err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}

// timeLimit bounds how long a request may read the store.
func timeLimit(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), workTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	return c.Next()
}

// withHead answers HEAD wherever GET is answered.
type withHead struct{ fiber.Router }

func (r withHead) Add(method, path string, handlers ...fiber.Handler) fiber.Router {
	if method == fiber.MethodGet {
		r.Router.Add(fiber.MethodHead, path, handlers...)
	}
	return r.Router.Add(method, path, handlers...)
}
