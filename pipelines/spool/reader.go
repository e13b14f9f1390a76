package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// chunk is how much Next reads at a time; a longer line grows it to MaxLine.
const chunk = 1 << 20

// maxSeq is the largest number that every JSON reader takes exactly.
const maxSeq = 1<<53 - 1

// Reader reads the whole lines of a spool that may still be growing. It opens
// the file for each read, so it may start before the file exists.
type Reader struct {
	path    string
	attempt int
	offset  int64
}

// NewReader reads the spool at path from a byte offset, which must be one
// that Offset returned, or 0. Events must bear the attempt given; 0 = any.
func NewReader(path string, attempt int, offset int64) *Reader {
	return &Reader{path: path, attempt: attempt, offset: offset}
}

// Offset is the position after the last line that Next returned or refused.
func (r *Reader) Offset() int64 { return r.offset }

// LineError is a whole line that is no event. Reading may go on after it.
type LineError struct {
	Path   string
	Offset int64 // of the line's first byte
	Err    error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s: the line at byte %d is no event: %v", e.Path, e.Offset, e.Err)
}

// Unwrap returns the underlying error.
func (e *LineError) Unwrap() error { return e.Err }

// Next returns whole lines that are there, up to about a megabyte of them;
// none when all is read. A last line without its newline is left alone: it is
// either being written or torn. Events before a bad line are returned
// together with the *LineError, and the next call goes on behind it.
func (r *Reader) Next() ([]pipelines.Event, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read event spool: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read event spool: %w", err)
	}
	if st.Size() <= r.offset {
		return nil, nil
	}
	size := int(min(chunk, st.Size()-r.offset))
	for {
		buf := make([]byte, size)
		n, err := f.ReadAt(buf, r.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read event spool: %w", err)
		}
		buf = buf[:n]
		end := bytes.LastIndexByte(buf, '\n') + 1
		switch {
		case end > 0:
			return r.parse(buf[:end])
		case n < size || r.offset+int64(n) >= st.Size():
			return nil, nil
		case size < MaxLine:
			size = min(2*size, MaxLine)
		default:
			return nil, r.skip(f)
		}
	}
}

func (r *Reader) parse(buf []byte) ([]pipelines.Event, error) {
	var events []pipelines.Event
	for len(buf) > 0 {
		n := bytes.IndexByte(buf, '\n') + 1
		line := bytes.TrimSpace(buf[:n])
		start := r.offset
		buf, r.offset = buf[n:], r.offset+int64(n)
		if len(line) == 0 {
			continue
		}
		e, err := Parse(line, r.attempt)
		if err != nil {
			return events, &LineError{Path: r.path, Offset: start, Err: err}
		}
		events = append(events, e)
	}
	return events, nil
}

// skip passes over a line longer than MaxLine, if its end is there.
func (r *Reader) skip(f *os.File) error {
	buf := make([]byte, chunk)
	for at := r.offset; ; {
		n, err := f.ReadAt(buf, at)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			start := r.offset
			r.offset = at + int64(i) + 1
			return &LineError{Path: r.path, Offset: start, Err: fmt.Errorf("longer than %d bytes", MaxLine)}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read event spool: %w", err)
		}
	}
}

// Parse reads one line. Fields that it does not know are ignored, so that a
// newer step may say more; attempt 0 takes any.
func Parse(line []byte, attempt int) (pipelines.Event, error) {
	var e pipelines.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	switch {
	case e.Version < 1:
		return e, errors.New(`"v" is missing`)
	case e.Seq < 1 || e.Seq > maxSeq:
		return e, errors.New(`"seq" must count from 1`)
	case e.Attempt < 1 || attempt != 0 && e.Attempt != attempt:
		return e, fmt.Errorf(`"attempt" is %d, this is attempt %d`, e.Attempt, attempt)
	case e.Type == "":
		return e, errors.New(`"type" is missing`)
	case e.Version == pipelines.EventVersion && typeOf(e) != e.Type:
		return e, fmt.Errorf("type is %q, but its field is missing", e.Type)
	}
	return e, nil
}

// Tail hands the events of the spool to fn as they appear, until done is
// closed and everything written before that has been handed over, or ctx
// ends. Lines that are no events go to bad, which may be nil.
// It returns the error of ctx, of fn or of reading.
func (r *Reader) Tail(ctx context.Context, every time.Duration, done <-chan struct{},
	fn func([]pipelines.Event) error, bad func(*LineError)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ended := false; ; {
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			before := r.offset
			events, err := r.Next()
			if len(events) > 0 {
				if err := fn(events); err != nil {
					return err
				}
			}
			var line *LineError
			if errors.As(err, &line) {
				if bad != nil {
					bad(line)
				}
			} else if err != nil {
				return err
			}
			if r.offset == before {
				break
			}
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			ended = true // one more round: the step may have written since the last
		case <-tick.C:
		}
	}
}
