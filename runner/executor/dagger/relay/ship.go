package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/mirror"
)

// shipper sends home what the step writes. It is used by one goroutine.
type shipper struct {
	spec   Spec
	home   *caller
	offset int64           // in the spool, up to which events are home
	log    int64           // bytes of the log that are home
	kept   mirror.Entries  // checkpoints and artifacts as they are at home
	named  map[string]bool // those that are to be there
}

// newShipper begins with the checkpoints that are at home.
func newShipper(spec Spec, home *caller, checkpoints mirror.Entries) shipper {
	s := shipper{spec: spec, home: home, kept: mirror.Entries{}, named: map[string]bool{}}
	for name, files := range checkpoints {
		s.kept[name], s.named[name] = files, true
	}
	return s
}

func (c *caller) get(ctx context.Context, path string, q url.Values, out any) error {
	res, err := c.request(ctx, "GET", path, q, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}

func (c *caller) done(ctx context.Context, d Done) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var a Answer
	return c.small(ctx, "POST", "/v1/done", nil, b, &a)
}

// shipAll sends everything, artifacts that no event named included.
func (s *shipper) shipAll(ctx context.Context) error {
	if err := s.ship(ctx); err != nil {
		return err
	}
	list, err := mirror.List(s.spec.RunDir, mirror.Artifacts)
	if err != nil {
		return err
	}
	made, err := mirror.Group(list)
	if err != nil {
		return err
	}
	for name := range made {
		s.named[name] = true
	}
	return s.catchUp(ctx)
}

// ship sends what came since the last time.
func (s *shipper) ship(ctx context.Context) error {
	return errors.Join(s.shipLog(ctx), s.shipEvents(ctx))
}

const piece = 4 << 20

func (s *shipper) shipLog(ctx context.Context) error {
	f, err := os.Open(filepath.Join(s.spec.AttemptDir, spool.LogFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, piece)
	for {
		n, err := f.ReadAt(buf, s.log)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var a Answer
		if err := s.home.small(ctx, "POST", "/v1/log", query("offset", fmt.Sprint(s.log)), buf[:n], &a); err != nil {
			return err
		}
		if a.Log <= s.log {
			return fmt.Errorf("home has %d bytes of the log, %d were sent", a.Log, s.log+int64(n))
		}
		s.log = a.Log
	}
}

// shipEvents sends whole lines of the spool. Before an event that names
// files, everything before it is sent, then the files.
func (s *shipper) shipEvents(ctx context.Context) error {
	f, err := os.Open(filepath.Join(s.spec.AttemptDir, spool.EventsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for size := int64(piece); ; {
		buf := make([]byte, size)
		n, err := f.ReadAt(buf, s.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		lines := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
		if len(lines) == 0 {
			if int64(n) == size && size < spool.MaxLine {
				size = spool.MaxLine // a long line
				continue
			}
			return nil
		}
		if err := s.shipLines(ctx, lines); err != nil {
			return err
		}
	}
}

func (s *shipper) shipLines(ctx context.Context, lines []byte) error {
	start := 0
	for at := 0; at < len(lines); {
		end := at + bytes.IndexByte(lines[at:], '\n') + 1
		if e, err := spool.Parse(bytes.TrimSpace(lines[at:end]), s.spec.Attempt); err == nil && (e.Checkpoint != nil || e.Result != nil) {
			if err := s.post(ctx, lines[start:at]); err != nil {
				return err
			}
			if err := s.keepNamed(ctx, e); err != nil {
				return err
			}
			start = at
		}
		at = end
	}
	return s.post(ctx, lines[start:])
}

func (s *shipper) post(ctx context.Context, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	var a Answer
	if err := s.home.small(ctx, "POST", "/v1/events", nil, lines, &a); err != nil {
		return err
	}
	s.offset += int64(len(lines))
	return nil
}

// keepNamed brings the files home that an event names.
func (s *shipper) keepNamed(ctx context.Context, e pipelines.Event) error {
	var paths []string
	if e.Checkpoint != nil {
		paths = append(paths, e.Checkpoint.Path)
	}
	if r := e.Result; r != nil {
		for _, c := range []*pipelines.Checkpoint{r.Latest, r.Best} {
			if c != nil {
				paths = append(paths, c.Path)
			}
		}
		for _, a := range r.Artifacts {
			paths = append(paths, a.Path)
		}
	}
	for _, p := range paths {
		s.name(p)
	}
	return s.catchUp(ctx)
}

// name has a checkpoint or artifact brought home, and what it links to.
func (s *shipper) name(p string) {
	rel, err := filepath.Rel(s.spec.RunDir, p)
	if err != nil || !ships(filepath.ToSlash(rel)) {
		return // a checkpoint of another run
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	room, name := parts[0], parts[1]
	for range 8 { // links may lead to links
		s.named[room+"/"+name] = true
		target, err := os.Readlink(filepath.Join(s.spec.RunDir, room, name))
		if err != nil || strings.Contains(target, "/") {
			return
		}
		name = target
	}
}

// ships reports that a path in the run's folder is, or is in, a checkpoint or
// artifact.
func ships(rel string) bool {
	room, name, _ := strings.Cut(rel, "/")
	return (room == mirror.Checkpoints || room == mirror.Artifacts) && name != ""
}

// catchUp makes home have what was named as it is now: no checkpoint is there
// before the events that came before it.
func (s *shipper) catchUp(ctx context.Context) error {
	return mirror.CatchUp(ctx, func(context.Context) (want, have mirror.Entries, err error) {
		list, err := mirror.List(s.spec.RunDir, mirror.Checkpoints, mirror.Artifacts)
		if err == nil {
			want, err = mirror.Group(list)
		}
		maps.DeleteFunc(want, func(name string, files []mirror.File) bool {
			return files[0].Link == "" && !s.named[name]
		})
		return want, s.kept, err
	}, s)
}

// Put sends a checkpoint or artifact home.
func (s *shipper) Put(ctx context.Context, name string, files []mirror.File) error {
	err := s.home.send(ctx, "/v1/tree", query("path", name), func(w io.Writer) error { return pack(w, s.spec.RunDir, name, files) })
	if err == nil {
		s.kept[name] = files
	}
	return err
}

// Link sets a link at home.
func (s *shipper) Link(ctx context.Context, name, target string) error {
	var a Answer
	err := s.home.small(ctx, "PUT", "/v1/link", query("path", name, "target", target), nil, &a)
	if err == nil {
		s.kept[name] = []mirror.File{{Path: name, Link: target}}
	}
	return err
}

// Remove removes what the step removed.
func (s *shipper) Remove(ctx context.Context, name string) error {
	var a Answer
	err := s.home.small(ctx, "DELETE", "/v1/tree", query("path", name), nil, &a)
	if err == nil {
		delete(s.kept, name)
	}
	return err
}
