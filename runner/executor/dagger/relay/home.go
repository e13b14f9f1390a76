package relay

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/mirror"
)

// Home takes in what a relay sends: it appends events to the host's spool and
// log, and keeps checkpoints and artifacts in the run's folder.
type Home struct {
	spec  Spec
	token string
	log   io.Writer
	spool *os.File
	http  http.Server

	mu     sync.Mutex
	seq    int64
	logged int64
	stop   bool
	done   *Done
	heard  time.Time
}

// NewHome opens the attempt's spool on the host. log gets the step's output.
func NewHome(spec Spec, token string, log io.Writer) (*Home, error) {
	h := &Home{spec: spec, token: token, log: log}
	p := filepath.Join(spec.AttemptDir, spool.EventsFile)
	r := spool.NewReader(p, spec.Attempt, 0)
	for {
		events, err := r.Next()
		var bad *spool.LineError
		if err != nil && !errors.As(err, &bad) {
			return nil, err
		}
		for _, e := range events {
			h.seq = max(h.seq, e.Seq)
		}
		if len(events) == 0 && err == nil {
			break
		}
	}
	f, err := os.OpenFile(p, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open event spool: %w", err)
	}
	if err := errors.Join(f.Truncate(r.Offset()), durable.SyncDir(spec.AttemptDir)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	h.spool = f
	return h, nil
}

// Serve answers on the socket until Close.
func (h *Home) Serve(l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", h.events)
	mux.HandleFunc("POST /v1/log", h.takeLog)
	mux.HandleFunc("POST /v1/done", h.takeDone)
	mux.HandleFunc("GET /v1/tree", h.tree)
	mux.HandleFunc("GET /v1/file", h.file)
	mux.HandleFunc("PUT /v1/tree", h.putTree)
	mux.HandleFunc("PUT /v1/link", h.putLink)
	mux.HandleFunc("DELETE /v1/tree", h.deleteTree)
	h.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(got), []byte(h.token)) != 1 {
			http.Error(w, "this is not the token of this attempt", http.StatusUnauthorized)
			return
		}
		h.mu.Lock()
		h.heard = time.Now()
		h.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	h.http.ReadHeaderTimeout = callTimeout
	_ = h.http.Serve(l) // ends with Close
}

// Close ends the server and syncs the spool.
func (h *Home) Close() error {
	return errors.Join(h.http.Close(), h.spool.Sync(), h.spool.Close())
}

// Stop makes the next answers ask the step to end.
func (h *Home) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop = true
}

// Done returns the relay's last word, nil if it said none.
func (h *Home) Done() *Done {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done
}

// Heard reports whether a relay ever called.
func (h *Home) Heard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.heard.IsZero()
}

// Append files the events of a spool that are not home yet, as whole lines.
// Lines that are no events are passed on too, so that they are told of.
func (h *Home) Append(lines []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out bytes.Buffer
	seq, sync := h.seq, false
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n') + 1
		if n == 0 {
			break // torn
		}
		line := lines[:n]
		lines = lines[n:]
		e, err := spool.Parse(bytes.TrimSpace(line), h.spec.Attempt)
		switch {
		case err != nil:
		case e.Seq <= seq:
			continue
		case e.Seq != seq+1:
			return fmt.Errorf("event %d came after event %d", e.Seq, seq)
		default:
			seq = e.Seq
			sync = sync || e.Type != pipelines.EventProgress && e.Type != pipelines.EventMetrics && e.Type != pipelines.EventMessage
		}
		out.Write(line)
	}
	if out.Len() == 0 {
		return nil
	}
	if _, err := h.spool.Write(out.Bytes()); err != nil {
		return err
	}
	h.seq = seq
	if sync {
		return h.spool.Sync()
	}
	return nil
}

func (h *Home) answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h.mu.Lock()
	a := Answer{Seq: h.seq, Log: h.logged, Stop: h.stop}
	h.mu.Unlock()
	reply(w, a)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who does not hear it asks again
}

func (h *Home) events(w http.ResponseWriter, r *http.Request) {
	lines, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*spool.MaxLine))
	if err == nil {
		err = h.Append(lines)
	}
	h.answer(w, err)
}

// takeLog appends a piece of the step's log if it is the next one.
func (h *Home) takeLog(w http.ResponseWriter, r *http.Request) {
	piece, err := io.ReadAll(http.MaxBytesReader(w, r.Body, spool.MaxLine))
	h.mu.Lock()
	if err == nil && r.URL.Query().Get("offset") == fmt.Sprint(h.logged) {
		var n int
		n, err = h.log.Write(piece)
		h.logged += int64(n)
	}
	h.mu.Unlock()
	h.answer(w, err)
}

func (h *Home) takeDone(w http.ResponseWriter, r *http.Request) {
	var d Done
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&d)
	if err == nil {
		h.mu.Lock()
		h.done = &d
		h.mu.Unlock()
	}
	h.answer(w, err)
}

// readable is a folder that a relay may read: the run's, or one it pulls.
func (h *Home) readable(root string) (string, error) {
	if root == mirror.Checkpoints {
		return filepath.Join(h.spec.RunDir, root), nil
	}
	for _, p := range h.spec.Pulls {
		if p.Path == root {
			return filepath.EvalSymlinks(root)
		}
	}
	return "", fmt.Errorf("%q is not for this step", root)
}

// tree lists the run's checkpoints, or data.
func (h *Home) tree(w http.ResponseWriter, r *http.Request) {
	var list []mirror.File
	var err error
	if root := r.URL.Query().Get("root"); root == mirror.Checkpoints {
		list, err = mirror.List(h.spec.RunDir, mirror.Checkpoints)
	} else if root, err = h.readable(root); err == nil {
		list, err = listData(root)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, list)
}

func (h *Home) file(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	root, err := h.readable(q.Get("root"))
	p := filepath.FromSlash(q.Get("path"))
	if err == nil && !filepath.IsLocal(p) {
		err = fmt.Errorf("%q is not below the folder", q.Get("path"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := os.Open(filepath.Join(root, p))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.Copy(w, f) // a short answer is seen by its reader
}

// change changes a checkpoint or artifact of the run.
func (h *Home) change(w http.ResponseWriter, r *http.Request, how func(f *mirror.Folder, name string) error) {
	name := r.URL.Query().Get("path")
	if !ships(name) {
		h.answer(w, fmt.Errorf("%q is no checkpoint or artifact", name))
		return
	}
	f, err := mirror.Open(r.Context(), h.spec.RunDir)
	if err == nil {
		err = errors.Join(how(f, name), f.Close())
	}
	if err != nil {
		err = fmt.Errorf("take in %s: %w", name, err)
	}
	h.answer(w, err)
}

func (h *Home) putTree(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, func(f *mirror.Folder, name string) error {
		return f.Replace(name, func(part string) error { return unpack(bufio.NewReaderSize(r.Body, 1<<20), part) })
	})
}

func (h *Home) putLink(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, func(f *mirror.Folder, name string) error { return f.Link(name, r.URL.Query().Get("target")) })
}

func (h *Home) deleteTree(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, func(f *mirror.Folder, name string) error { return f.Remove(name) })
}
