package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// shipper sends home what the step writes. It is used by one goroutine.
type shipper struct {
	spec   Spec
	home   *caller
	offset int64              // in the spool, up to which events are home
	log    int64              // bytes of the log that are home
	kept   map[string][]Entry // "checkpoints/epoch_3" as it is at home
}

// newShipper begins with the checkpoints that are at home.
func newShipper(spec Spec, home *caller, checkpoints map[string][]Entry) shipper {
	s := shipper{spec: spec, home: home, kept: map[string][]Entry{}}
	for name, files := range checkpoints {
		s.kept["checkpoints/"+name] = files
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
	list, err := List(filepath.Join(s.spec.RunDir, "artifacts"))
	if err != nil {
		return err
	}
	for name := range byTop(list) {
		if err := s.keep(ctx, "artifacts", name); err != nil {
			return err
		}
	}
	return s.tidy(ctx)
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
		rel, err := filepath.Rel(s.spec.RunDir, p)
		if err != nil {
			continue
		}
		room, rest, _ := strings.Cut(filepath.ToSlash(rel), "/")
		name, _, _ := strings.Cut(rest, "/")
		if room != "checkpoints" && room != "artifacts" || !plainName(name) {
			continue // a checkpoint of another run
		}
		if err := s.keep(ctx, room, name); err != nil {
			return err
		}
	}
	if e.Checkpoint == nil {
		return nil
	}
	return s.tidy(ctx)
}

// keep brings one checkpoint or artifact home, and what it links to first.
func (s *shipper) keep(ctx context.Context, room, name string) error {
	p, place := filepath.Join(s.spec.RunDir, room, name), room+"/"+name
	if target, err := os.Readlink(p); err == nil {
		if !plainName(target) {
			return nil
		}
		if err := s.keep(ctx, room, target); err != nil {
			return err
		}
		return s.keepLink(ctx, place, target)
	}
	list, err := List(p)
	if err != nil || len(list) == 0 || same(normal(list), s.kept[place]) {
		return err // nothing there: removed since the event
	}
	err = s.home.send(ctx, "/v1/tree", query("path", place), func(w io.Writer) error { return pack(w, p) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed while it was sent
	}
	if err == nil {
		s.kept[place] = normal(list)
	}
	return err
}

// normal makes the list of a single file like that of byTop.
func normal(list []Entry) []Entry {
	if len(list) == 1 && list[0].Path == "." {
		list[0].Path = ""
	}
	return list
}

func (s *shipper) keepLink(ctx context.Context, place, target string) error {
	want := []Entry{{Target: target}}
	if same(want, s.kept[place]) {
		return nil
	}
	var a Answer
	err := s.home.small(ctx, "PUT", "/v1/link", query("path", place, "target", target), nil, &a)
	if err == nil {
		s.kept[place] = want
	}
	return err
}

// tidy points links where the step points them, as far as their targets are
// home, and removes at home the checkpoints that the step removed.
func (s *shipper) tidy(ctx context.Context) error {
	list, err := List(filepath.Join(s.spec.RunDir, "checkpoints"))
	if err != nil {
		return err
	}
	here := byTop(list)
	for name, files := range here {
		if len(files) == 1 && files[0].Target != "" && s.kept["checkpoints/"+files[0].Target] != nil {
			if err := s.keepLink(ctx, "checkpoints/"+name, files[0].Target); err != nil {
				return err
			}
		}
	}
	for place := range s.kept {
		room, name, _ := strings.Cut(place, "/")
		if room != "checkpoints" || here[name] != nil {
			continue
		}
		var a Answer
		if err := s.home.small(ctx, "DELETE", "/v1/tree", query("path", place), nil, &a); err != nil {
			return err
		}
		delete(s.kept, place)
	}
	return nil
}
