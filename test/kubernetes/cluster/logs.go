package cluster

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// logFile keeps a container's log: each line behind its time, in files of a
// bounded size of which the newest is 0.log.
type logFile struct {
	dir  string
	size int64

	mu   sync.Mutex
	f    *os.File
	n    int64
	over bool
}

func newLogFile(dir string, size int64) (*logFile, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "0.log"))
	return &logFile{dir: dir, size: size, f: f}, err
}

// collect reads a container's output to its end.
func (l *logFile) collect(r io.Reader) {
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			l.write(line)
		}
		if err != nil {
			l.mu.Lock()
			l.over = true
			l.mu.Unlock()
			return
		}
	}
}

func (l *logFile) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n > l.size {
		_ = os.Rename(l.f.Name(), filepath.Join(l.dir, time.Now().Format("20060102-150405.000000000")+".log"))
		_ = l.f.Close()
		f, err := os.Create(filepath.Join(l.dir, "0.log"))
		if err != nil {
			return
		}
		l.f, l.n = f, 0
	}
	n, _ := l.f.Write(append(time.Now().UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000000Z07:00 "), line...))
	l.n += int64(n)
}

func (l *logFile) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// serveLog answers as a kubelet does.
func (n *Node) serveLog(w http.ResponseWriter, req *http.Request) {
	n.mu.Lock()
	var r *podRun
	for _, p := range n.pods {
		if p.pod.Namespace == req.PathValue("namespace") && p.pod.Name == req.PathValue("pod") {
			r = p
		}
	}
	n.mu.Unlock()
	if r == nil || r.logs() == nil {
		http.Error(w, "container is waiting to start", http.StatusBadRequest)
		return
	}
	q := req.URL.Query()
	var since time.Time
	if s := q.Get("sinceTime"); s != "" {
		since, _ = time.Parse(time.RFC3339, s)
	}
	stamps, _ := strconv.ParseBool(q.Get("timestamps"))
	follow, _ := strconv.ParseBool(q.Get("follow"))
	log := r.logs()
	f, err := os.Open(filepath.Join(log.dir, "0.log"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { f.Close() }()
	in := bufio.NewReaderSize(f, 1<<20)
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	var part []byte
	for {
		ended := log.ended() // before the read, so that nothing is missed
		line, err := in.ReadBytes('\n')
		part = append(part, line...)
		if err == nil || ended && len(part) > 0 { // a container's last line may have no end
			stamp, text, _ := bytes.Cut(part, []byte(" "))
			if t, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil && !t.Before(since) {
				if stamps {
					text = part
				}
				if _, err := w.Write(text); err != nil {
					return
				}
			}
			part = part[:0]
			continue
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		_ = flusher.Flush()
		if next, rotated := newer(f, log.dir); follow && rotated {
			f.Close()
			f = next
			in.Reset(f)
			continue
		}
		if !follow || ended {
			return
		}
		select {
		case <-req.Context().Done():
			return
		case <-n.ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// newer opens the file that has taken f's place.
func newer(f *os.File, dir string) (*os.File, bool) {
	next, err := os.Open(filepath.Join(dir, "0.log"))
	if err != nil {
		return nil, false
	}
	a, errA := f.Stat()
	b, errB := next.Stat()
	if errA != nil || errB != nil || os.SameFile(a, b) {
		next.Close()
		return nil, false
	}
	return next, true
}
