package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

// Writer appends events to an attempt's spool. It is safe for concurrent use;
// there must be one Writer per attempt, which the lock ensures.
type Writer struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time

	attempt int
	mu      sync.Mutex
	f       *os.File
	seq     int64
	broken  error
}

// NewWriter opens the spool in dir for attempt, creating it if need be.
// An existing spool is continued: a torn last line is cut off and seq goes on
// after the last event.
func NewWriter(dir string, attempt int) (*Writer, error) {
	path := filepath.Join(dir, EventsFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open event spool: %w", err)
	}
	w := &Writer{Now: time.Now, attempt: attempt, f: f}
	end, err := w.recover(path)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("continue event spool %s: %w", path, err)
	}
	return w, nil
}

// recover finds the last seq and the end of the last whole line.
func (w *Writer) recover(path string) (int64, error) {
	r := NewReader(path, w.attempt, 0)
	for {
		events, err := r.Next()
		var bad *LineError
		if err != nil && !errors.As(err, &bad) {
			return 0, err
		}
		for _, e := range events {
			w.seq = max(w.seq, e.Seq)
		}
		if len(events) == 0 && err == nil {
			return r.Offset(), nil
		}
	}
}

// Emit gives e its version, attempt, seq and time and appends it. When it
// returns nil the event survives the death of this process; see the package
// comment for what survives a power loss. After a failed write the Writer
// refuses all further events, so that no line can follow a torn one.
func (w *Writer) Emit(e pipelines.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	e.Version, e.Attempt, e.Seq, e.Time = pipelines.EventVersion, w.attempt, w.seq+1, w.Now().UTC()
	if e.Type == "" {
		e.Type = typeOf(e)
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return fmt.Errorf("encode %s event: %w", e.Type, err)
	}
	if line.Len() > MaxLine {
		return fmt.Errorf("%s event of %d bytes is over the limit of %d bytes a line", e.Type, line.Len(), MaxLine)
	}
	if _, err := w.f.Write(line.Bytes()); err != nil {
		w.broken = fmt.Errorf("write event %d to %s: %w", e.Seq, w.f.Name(), err)
		return w.broken
	}
	w.seq++
	if pointOfNoReturn(e.Type) {
		if err := w.f.Sync(); err != nil {
			w.broken = fmt.Errorf("sync %s: %w", w.f.Name(), err)
			return w.broken
		}
	}
	return nil
}

// Seq returns the seq of the last event.
func (w *Writer) Seq() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seq
}

// Close syncs and closes the spool.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.f.Sync(), w.f.Close())
}

// pointOfNoReturn names the events that are synced to disk at once.
func pointOfNoReturn(t pipelines.EventType) bool {
	switch t {
	case pipelines.EventConfigApplied, pipelines.EventResumed, pipelines.EventValidation,
		pipelines.EventCheckpoint, pipelines.EventResult:
		return true
	}
	return false
}

func typeOf(e pipelines.Event) pipelines.EventType {
	switch {
	case e.ConfigApplied != nil:
		return pipelines.EventConfigApplied
	case e.Resumed != nil:
		return pipelines.EventResumed
	case e.Status != nil:
		return pipelines.EventStatus
	case e.Progress != nil:
		return pipelines.EventProgress
	case e.Metrics != nil:
		return pipelines.EventMetrics
	case e.Validation != nil:
		return pipelines.EventValidation
	case e.Checkpoint != nil:
		return pipelines.EventCheckpoint
	case e.Message != nil:
		return pipelines.EventMessage
	case e.Result != nil:
		return pipelines.EventResult
	}
	return ""
}
