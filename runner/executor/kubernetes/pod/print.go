package pod

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// longest is the longest line of output that is kept whole; a progress bar
// that never ends its line is cut here.
const longest = 64 << 10

// printer writes whole lines to the pod's log.
type printer struct {
	mu     sync.Mutex
	w      io.Writer
	redact runner.Redactor

	holdResult bool              // the result waits for release, and what follows it
	held       []pipelines.Event // what waits
}

func (p *printer) line(mark string, v any) error {
	var b bytes.Buffer
	b.WriteString(mark)
	enc := json.NewEncoder(&b) // ends the line
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// A log that cannot be written loses nothing: the spool has the event.
	_, _ = p.w.Write(b.Bytes())
	return nil
}

func (p *printer) events(events []pipelines.Event) error {
	for i, e := range events {
		if p.holdResult && (e.Result != nil || len(p.held) > 0) {
			p.held = append(p.held, events[i:]...)
			return nil
		}
		if err := p.line(eventMark, e); err != nil {
			return err
		}
	}
	return nil
}

// release prints what was held back.
func (p *printer) release() error {
	events := p.held
	p.holdResult, p.held = false, nil
	return p.events(events)
}

func (p *printer) exit(x runner.Exit) { _ = p.line(exitMark, x) }

// output writes whole lines of the step's output.
func (p *printer) output(text []byte) {
	var b bytes.Buffer
	for line := range bytes.Lines([]byte(p.redact.Text(string(text)))) {
		if isMarked(line) {
			b.WriteByte(' ')
		}
		b.Write(line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.w.Write(b.Bytes())
}

// mirror copies the step's output as it grows, in whole lines, until ended is
// closed and all is copied.
func (p *printer) mirror(path string, ended <-chan struct{}) {
	var rest []byte
	var at int64
	for over := false; ; {
		n, chunk := readFrom(path, at)
		at += n
		rest = append(rest, chunk...)
		end := bytes.LastIndexByte(rest, '\n') + 1
		if end == 0 && len(rest) > longest {
			rest = append(rest, '\n')
			end = len(rest)
		}
		p.output(rest[:end])
		rest = append([]byte{}, rest[end:]...)
		if n > 0 {
			continue
		}
		if over {
			if len(rest) > 0 {
				p.output(append(rest, '\n'))
			}
			return
		}
		select {
		case <-ended:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// readFrom reads up to a megabyte; nothing while the file is not there.
func readFrom(path string, at int64) (int64, []byte) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil
	}
	return int64(n), buf[:n]
}
