// Package daggertest is a stand-in for a Dagger engine: it answers the
// GraphQL that the SDK sends, writes down what was asked for, and really runs
// the commands of containers, as processes of this machine that see the
// mounted folders, files, volumes and sockets in their places. A container's
// base is always this machine's own file system.
//
// What it takes from the real engine: folders of the host are copied; an
// unchanged container is answered from a cache, to which neither volatile
// variables nor the values of secrets count; a client that goes away takes its
// running commands along; a command without Expect that fails is an error.
package daggertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Engine is a running stand-in.
type Engine struct {
	// Version is what it says its version is.
	Version string
	// Images are the references that can be pulled, with their digests.
	Images map[string]string
	// GPUs reports that containers can have GPUs.
	GPUs bool
	// Pretend are programs that are not run: they succeed and leave nothing.
	Pretend []string

	dir   string // copies of folders, volumes
	token string
	port  int

	mu    sync.Mutex
	nodes map[string]any
	asked []string // descriptions of containers that ran a command
	cache map[string]*execution
	locks map[string]*sync.Mutex
	told  trace
}

// Start starts an engine that ends with the test. Sandboxes need namespaces;
// where there are none the test is skipped.
func Start(t *testing.T) *Engine {
	t.Helper()
	if err := canSandbox(); err != nil {
		t.Skipf("this machine gives a process no mounts of its own (%v), and containers are stood in for by such processes", err)
	}
	e := &Engine{Version: "v0.21.8", Images: map[string]string{}, dir: t.TempDir(), token: "session", nodes: map[string]any{}, cache: map[string]*execution{}, locks: map[string]*sync.Mutex{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.port = l.Addr().(*net.TCPAddr).Port
	s := &http.Server{Handler: e}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	return e
}

// Env is the environment in which clients find the engine.
func (e *Engine) Env() map[string]string {
	return map[string]string{"DAGGER_SESSION_PORT": strconv.Itoa(e.port), "DAGGER_SESSION_TOKEN": e.token}
}

// Asked lists the containers whose commands were asked for, in order, each as
// the calls that made it, a line a call.
func (e *Engine) Asked() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.asked...)
}

// ServeHTTP answers one query.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, _, _ := r.BasicAuth()
	if user != e.token {
		http.Error(w, "no such session", http.StatusUnauthorized)
		return
	}
	if r.URL.Path != "/query" {
		e.told.serve(w, r)
		return
	}
	var body struct{ Query string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := e.answer(context.WithValue(r.Context(), traceKey{}, traceOf(r)), body.Query)
	out := map[string]any{"data": data}
	if err != nil {
		failure := map[string]any{"message": err.Error()}
		if x, ok := err.(*execError); ok {
			failure["extensions"] = map[string]any{"_type": "EXEC_ERROR", "cmd": x.args, "exitCode": x.code, "stdout": x.output, "stderr": ""}
		}
		out["errors"] = []any{failure}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the client may have gone
}

// answer walks a query, which is one chain of calls, and nests its value.
func (e *Engine) answer(ctx context.Context, query string) (any, error) {
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		return nil, err
	}
	var names []string
	var at any = root{}
	set := doc.Operations[0].SelectionSet
	for len(set) > 0 {
		if len(set) != 1 {
			return nil, fmt.Errorf("a query of several fields is not stood in for: %s", query)
		}
		switch s := set[0].(type) {
		case *ast.InlineFragment:
			set = s.SelectionSet
		case *ast.Field:
			args := arguments{}
			for _, a := range s.Arguments {
				v, err := a.Value.Value(nil)
				if err != nil {
					return nil, err
				}
				args[a.Name] = v
			}
			if at, err = e.call(ctx, at, s.Name, args); err != nil {
				return nil, err
			}
			names = append(names, s.Name)
			set = s.SelectionSet
		default:
			return nil, fmt.Errorf("not stood in for: %T", s)
		}
	}
	for i := len(names) - 1; i >= 0; i-- {
		at = map[string]any{names[i]: at}
	}
	return at, nil
}

// id files an object under a name by which later queries find it.
func (e *Engine) id(object any) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := "node-" + strconv.Itoa(len(e.nodes)+1)
	e.nodes[id] = object
	return id
}

func (e *Engine) node(id string) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, ok := e.nodes[id]
	if !ok {
		return nil, fmt.Errorf("no node %q", id)
	}
	return n, nil
}

// arguments are those of a call.
type arguments map[string]any

func (a arguments) text(name string) string { s, _ := a[name].(string); return s }
func (a arguments) flag(name string) bool   { b, _ := a[name].(bool); return b }

func (a arguments) list(name string) []string {
	var out []string
	items, _ := a[name].([]any)
	for _, i := range items {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// describe writes a call as people read it.
func describe(name string, args ...string) string {
	return name + "(" + strings.Join(args, ", ") + ")"
}
