package lsp

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/creachadair/jrpc2/handler"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Config is what a server needs.
type Config struct {
	Command []string // argv of the child that runs Answer
	Env     []string // of the child
	Stderr  io.Writer
	Version string
	Log     *slog.Logger
}

// Server is one editor's.
type Server struct {
	cfg Config
	rpc *jrpc2.Server
	// Checking a pipeline takes longer than a completion may wait, so each has a child.
	checker, answerer *child

	mu       sync.Mutex
	docs     map[string]*document // by URI
	dirty    map[string]bool      // folders to check
	told     map[string][]string  // URIs with diagnostics, by folder
	snippets bool
	watches  bool
	started  bool
	closing  bool // shutdown was asked for
	wake     chan struct{}
	left     chan struct{} // closed by exit
	leave    sync.Once
}

// document is a text that the editor holds.
type document struct {
	uri     string
	path    string // "" unless it is a file
	version int
	text    *text
}

// quiet is how long no key is pressed before a pipeline is checked.
const quiet = 150 * time.Millisecond

// Serve speaks with the editor until it says exit or its end of the line
// closes. orderly says that it asked for the shutdown before.
func Serve(ctx context.Context, r io.Reader, w io.WriteCloser, cfg Config) (orderly bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &Server{
		cfg: cfg, docs: map[string]*document{}, dirty: map[string]bool{}, told: map[string][]string{}, wake: make(chan struct{}, 1), left: make(chan struct{}),
		checker: newChild(ctx, cfg.Command, cfg.Env, cfg.Stderr), answerer: newChild(ctx, cfg.Command, cfg.Env, cfg.Stderr),
	}
	s.rpc = jrpc2.NewServer(s.methods(), &jrpc2.ServerOptions{AllowPush: true, DisableBuiltin: true, Concurrency: 8,
		NewContext: func() context.Context { return ctx }})
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		s.checkLoop(ctx)
	}()
	s.rpc.Start(channel.LSP(r, w))
	ended := make(chan error, 1)
	go func() { ended <- s.rpc.Wait() }() // it waits for r, which an editor may leave open
	select {
	case err = <-ended:
	case <-s.left:
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	s.checker.end()
	s.answerer.end()
	<-checked
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing, err
}

func (s *Server) methods() handler.Map {
	return handler.Map{
		"initialize":                      handler.New(s.initialize),
		"initialized":                     handler.New(s.initialized),
		"shutdown":                        handler.New(s.shutdown),
		"exit":                            handler.New(s.exit),
		"$/cancelRequest":                 handler.New(s.cancelRequest),
		"$/setTrace":                      handler.New(ignore),
		"textDocument/didOpen":            handler.New(s.didOpen),
		"textDocument/didChange":          handler.New(s.didChange),
		"textDocument/didSave":            handler.New(s.didSave),
		"textDocument/didClose":           handler.New(s.didClose),
		"workspace/didChangeWatchedFiles": handler.New(s.didChangeWatchedFiles),
		"textDocument/completion":         ready(s, s.completion),
		"textDocument/hover":              ready(s, s.hover),
		"textDocument/definition":         ready(s, s.definition),
		"textDocument/references":         ready(s, s.references),
		"textDocument/documentSymbol":     ready(s, s.documentSymbol),
		"textDocument/formatting":         ready(s, s.formatting),
	}
}

// ready refuses requests before initialize and after shutdown.
func ready[P, R any](s *Server, f func(context.Context, P) (R, error)) jrpc2.Handler {
	return handler.New(func(ctx context.Context, p P) (r R, err error) {
		s.mu.Lock()
		started, closing := s.started, s.closing
		s.mu.Unlock()
		switch {
		case !started:
			return r, &jrpc2.Error{Code: -32002, Message: "initialize comes first"}
		case closing:
			return r, jrpc2.InvalidRequest.Err()
		}
		return f(ctx, p)
	})
}

func ignore(context.Context) error { return nil }

func (s *Server) initialize(_ context.Context, p initializeParams) (initializeResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	s.snippets = p.Capabilities.TextDocument.Completion.CompletionItem.SnippetSupport
	s.watches = p.Capabilities.Workspace.DidChangeWatchedFiles.DynamicRegistration
	return initializeResult{
		Capabilities: serverCapabilities{
			PositionEncoding: "utf-16", TextDocumentSync: textDocumentSync{OpenClose: true, Change: 2},
			CompletionProvider: completionOptions{TriggerCharacters: []string{".", `"`}},
			HoverProvider:      true, DefinitionProvider: true, ReferencesProvider: true, DocumentSymbolProvider: true, DocumentFormattingProvider: true,
		},
		ServerInfo: serverInfo{Name: "runner", Version: s.cfg.Version},
	}, nil
}

// initialized asks to be told of files that change outside the editor.
func (s *Server) initialized(ctx context.Context) error {
	s.mu.Lock()
	watches := s.watches
	s.mu.Unlock()
	if !watches {
		return nil
	}
	go func() { // the answer comes once this notification is handled
		_, err := s.rpc.Callback(ctx, "client/registerCapability", registrationParams{[]registration{{
			ID: "files", Method: "workspace/didChangeWatchedFiles",
			RegisterOptions: watchOptions{[]watcher{{"**/*.hcl"}, {"**/.runner.schemas/*.json"}}},
		}}})
		if err != nil {
			s.cfg.Log.Warn("the editor watches no files", "error", err)
		}
	}()
	return nil
}

func (s *Server) shutdown(context.Context) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	return nil, nil
}

func (s *Server) exit(context.Context) error {
	s.leave.Do(func() { close(s.left) })
	return nil
}

func (s *Server) cancelRequest(_ context.Context, p struct {
	ID any `json:"id"`
}) error {
	switch id := p.ID.(type) {
	case string:
		s.rpc.CancelRequest(fmt.Sprintf("%q", id))
	case float64:
		s.rpc.CancelRequest(fmt.Sprintf("%.0f", id))
	}
	return nil
}

func (s *Server) didOpen(_ context.Context, p didOpenParams) error {
	d := &document{uri: p.TextDocument.URI, path: pathOf(p.TextDocument.URI), version: p.TextDocument.Version, text: newText(p.TextDocument.Text)}
	s.mu.Lock()
	s.docs[d.uri] = d
	s.mu.Unlock()
	s.changed(d.path)
	return nil
}

func (s *Server) didChange(_ context.Context, p didChangeParams) error {
	s.mu.Lock()
	old := s.docs[p.TextDocument.URI]
	if old == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s is not open", p.TextDocument.URI)
	}
	d := *old // snapshots keep the one before
	for _, c := range p.ContentChanges {
		d.text = d.text.change(c)
	}
	d.version = p.TextDocument.Version
	s.docs[d.uri] = &d
	s.mu.Unlock()
	s.changed(d.path)
	return nil
}

func (s *Server) didSave(_ context.Context, p documentParams) error {
	s.changed(pathOf(p.TextDocument.URI))
	return nil
}

func (s *Server) didClose(ctx context.Context, p documentParams) error {
	s.mu.Lock()
	delete(s.docs, p.TextDocument.URI)
	s.mu.Unlock()
	if path := pathOf(p.TextDocument.URI); path == "" || !hclspec.Belongs(filepath.Base(path)) {
		return s.rpc.Notify(ctx, "textDocument/publishDiagnostics", publishDiagnostics{URI: p.TextDocument.URI, Diagnostics: []diagnostic{}})
	}
	s.changed(pathOf(p.TextDocument.URI))
	return nil
}

func (s *Server) didChangeWatchedFiles(_ context.Context, p watchedFilesParams) error {
	for _, c := range p.Changes {
		path := pathOf(c.URI)
		if dir := filepath.Dir(path); filepath.Base(dir) == ".runner.schemas" {
			path = filepath.Join(filepath.Dir(dir), "x.hcl")
		}
		if s.shows(filepath.Dir(path)) {
			s.changed(path)
		}
	}
	return nil
}

// shows says that a text of a folder is open.
func (s *Server) shows(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.docs {
		if d.path != "" && filepath.Dir(d.path) == dir {
			return true
		}
	}
	return len(s.told[dir]) > 0
}

// changed has a file's folder checked soon.
func (s *Server) changed(path string) {
	if path == "" {
		return
	}
	s.mu.Lock()
	s.dirty[filepath.Dir(path)] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// checkLoop checks folders some time after their last change.
func (s *Server) checkLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-time.After(quiet):
				waiting = false
			}
		}
		s.mu.Lock()
		dirs := slices.Sorted(maps.Keys(s.dirty))
		clear(s.dirty)
		s.mu.Unlock()
		for _, dir := range dirs {
			if err := s.check(ctx, dir); err != nil && ctx.Err() == nil {
				s.cfg.Log.Error("checking", "dir", dir, "error", err)
			}
		}
	}
}

// held are the open files of a folder.
func (s *Server) held(dir string) map[string]*document {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*document{}
	for _, d := range s.docs {
		if d.path != "" && filepath.Dir(d.path) == dir {
			out[d.path] = d
		}
	}
	return out
}

func texts(docs map[string]*document) map[string]string {
	out := make(map[string]string, len(docs))
	for path, d := range docs {
		out[path] = d.text.src
	}
	return out
}

// check tells the editor what is wrong with the pipeline in a folder.
func (s *Server) check(ctx context.Context, dir string) error {
	docs := s.held(dir)
	found := map[string][]diagnostic{} // by URI
	shown := map[string]*document{}
	var home string // of what has no place
	for _, path := range slices.Sorted(maps.Keys(docs)) {
		d := docs[path]
		shown[d.uri] = d
		if hclspec.Belongs(filepath.Base(path)) {
			home = cmp.Or(home, path)
			continue
		}
		r, err := s.checker.ask(ctx, Question{Operation: syntax, File: path, Text: d.text.src})
		if err != nil {
			return err
		}
		s.file(found, docs, path, r.Diagnostics)
	}
	s.mu.Lock()
	before := s.told[dir]
	s.mu.Unlock()
	if home != "" {
		r, err := s.checker.ask(ctx, Question{Operation: check, Dir: dir, Open: texts(docs)})
		if err != nil {
			return err
		}
		s.file(found, docs, home, r.Diagnostics)
	}
	uris := slices.Sorted(maps.Keys(found))
	for _, uri := range before {
		if found[uri] == nil {
			found[uri] = nil // nothing wrong any more
		}
	}
	for uri := range shown {
		found[uri] = slices.Clip(found[uri])
	}
	s.mu.Lock()
	s.told[dir] = uris
	s.mu.Unlock()
	for _, uri := range slices.Sorted(maps.Keys(found)) {
		p := publishDiagnostics{URI: uri, Diagnostics: found[uri]}
		if p.Diagnostics == nil {
			p.Diagnostics = []diagnostic{}
		}
		if d := shown[uri]; d != nil {
			p.Version = &d.version
		}
		if err := s.rpc.Notify(ctx, "textDocument/publishDiagnostics", p); err != nil {
			return err
		}
	}
	return nil
}

// file sorts diagnostics by file; home gets those without a place.
func (s *Server) file(found map[string][]diagnostic, docs map[string]*document, home string, diags []hclspec.Diagnostic) {
	at := map[string]*text{}
	for _, d := range diags {
		out := diagnostic{Severity: 1, Source: "runner", Message: d.Summary + ": " + d.Detail}
		if d.Severity == "warning" {
			out.Severity = 2
		}
		path := home
		if d.Range != nil {
			path = d.Range.Filename
		}
		if d.Range != nil {
			if at[path] == nil {
				at[path] = s.textOf(docs, path)
			}
			out.Range = at[path].between(d.Range.Start.Byte, d.Range.End.Byte)
		}
		uri := uriOf(path)
		if doc := docs[path]; doc != nil {
			uri = doc.uri
		}
		found[uri] = append(found[uri], out)
	}
}

// textOf is a file as it is known here: the editor's, else the disk's.
func (s *Server) textOf(docs map[string]*document, path string) *text {
	if d := docs[path]; d != nil {
		return d.text
	}
	src, _ := readText(path)
	return newText(src)
}

// pathOf is the file of a URI; "" when it is none.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return ""
	}
	return filepath.Clean(u.Path)
}

func uriOf(path string) string {
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// locations turns places in files into the protocol's.
func (s *Server) locations(docs map[string]*document, places []pipelines.Range) []Location {
	out := []Location{}
	at := map[string]*text{}
	for _, p := range places {
		if at[p.Filename] == nil {
			at[p.Filename] = s.textOf(docs, p.Filename)
		}
		uri := uriOf(p.Filename)
		if d := docs[p.Filename]; d != nil {
			uri = d.uri
		}
		out = append(out, Location{URI: uri, Range: at[p.Filename].between(p.Start.Byte, p.End.Byte)})
	}
	return out
}
