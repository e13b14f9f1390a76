package relay

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// sides are a container's folder and the host's, with a socket between them.
type sides struct {
	t           *testing.T
	there, here string // the run's folder in the container, and at home
	home        *Home
	caller      *caller
	socket      string
}

func newSides(t *testing.T) *sides {
	t.Helper()
	s := &sides{t: t, there: filepath.Join(t.TempDir(), "run"), here: filepath.Join(t.TempDir(), "run")}
	dir, err := os.MkdirTemp("", "relay") // a socket's path is short
	s.must(err)
	t.Cleanup(func() { s.must(os.RemoveAll(dir)) })
	s.socket = filepath.Join(dir, "s")
	s.must(os.MkdirAll(filepath.Join(s.there, "attempts", "1"), 0o755), os.MkdirAll(filepath.Join(s.here, "attempts", "1"), 0o755))
	s.open()
	t.Cleanup(func() { s.must(s.home.Close()) })
	s.caller = newCaller(s.socket, "token")
	return s
}

func (s *sides) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// open begins to answer at home.
func (s *sides) open() {
	s.t.Helper()
	var err error
	s.home, err = NewHome(Spec{Attempt: 1, RunDir: s.here, AttemptDir: filepath.Join(s.here, "attempts", "1")}, "token", io.Discard)
	s.must(err)
	l, err := net.Listen("unix", s.socket)
	s.must(err)
	go s.home.Serve(l)
}

func (s *sides) write(rel, text string) {
	s.t.Helper()
	at := filepath.Join(s.there, rel)
	s.must(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644))
}

func (s *sides) link(rel, to string) {
	s.t.Helper()
	at := filepath.Join(s.there, rel)
	_ = os.Remove(at) // there may be none yet
	s.must(os.Symlink(to, at))
}

// files is what a folder has of checkpoints and artifacts.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, room := range []string{"checkpoints", "artifacts"} {
		_ = filepath.WalkDir(filepath.Join(dir, room), func(p string, d os.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, p)
			if err != nil || d.IsDir() {
				return nil
			}
			if to, err := os.Readlink(p); err == nil {
				out[rel] = "-> " + to
			} else if b, err := os.ReadFile(p); err == nil {
				out[rel] = string(b)
			}
			return nil
		})
	}
	return out
}

func (s *sides) want(what string, want map[string]string) {
	s.t.Helper()
	if got := files(s.t, s.here); !reflect.DeepEqual(got, want) {
		s.t.Errorf("%s: at home there is %v, want %v", what, got, want)
	}
}

// What an event names is home before the event is, and nothing that no event
// named; retention and links are followed, also by a home that was away.
func TestShip(t *testing.T) {
	s := newSides(t)
	w, err := spool.NewWriter(filepath.Join(s.there, "attempts", "1"), 1)
	s.must(err)
	defer w.Close()
	say := func(epoch int) {
		s.must(w.Emit(pipelines.Event{Checkpoint: &pipelines.Checkpoint{Name: fmt.Sprint(epoch), Path: filepath.Join(s.there, "checkpoints", fmt.Sprintf("e%d", epoch)), Epoch: epoch}}))
	}
	ship := newShipper(Spec{Attempt: 1, RunDir: s.there, AttemptDir: filepath.Join(s.there, "attempts", "1")}, s.caller, nil)
	s.write("checkpoints/e1/w", "one")
	s.write("checkpoints/e1/deep/m", "manifest")
	s.link("checkpoints/latest", "e1")
	s.link("checkpoints/best", "latest")
	say(1)
	s.write("checkpoints/e2/w", "two") // not told yet
	s.write("checkpoints/.tmp-e3/w", "half")
	s.must(ship.ship(t.Context()))
	s.want("an epoch", map[string]string{"checkpoints/e1/w": "one", "checkpoints/e1/deep/m": "manifest", "checkpoints/latest": "-> e1", "checkpoints/best": "-> latest"})

	// The link moves on before its event is there: home keeps its own.
	s.link("checkpoints/latest", "e2")
	s.must(ship.ship(t.Context()), ship.catchUp(t.Context()))
	s.want("a link that is ahead", map[string]string{"checkpoints/e1/w": "one", "checkpoints/e1/deep/m": "manifest", "checkpoints/latest": "-> e1", "checkpoints/best": "-> latest"})

	s.must(s.home.Close())
	say(2)
	s.link("checkpoints/best", "e2")
	s.must(os.RemoveAll(filepath.Join(s.there, "checkpoints", "e1")))
	if err := ship.ship(t.Context()); err == nil {
		t.Error("nobody was at home, and it was not told")
	}
	s.open()
	for end := time.Now().Add(time.Minute); ship.ship(t.Context()) != nil; {
		if time.Now().After(end) {
			t.Fatal("home is back, and nothing comes")
		}
	}
	s.want("retention", map[string]string{"checkpoints/e2/w": "two", "checkpoints/latest": "-> e2", "checkpoints/best": "-> e2"})

	s.write("artifacts/model.onnx", "model")
	s.write("artifacts/plots/a.svg", "plot")
	s.must(ship.shipAll(t.Context()))
	s.want("the end", map[string]string{"checkpoints/e2/w": "two", "checkpoints/latest": "-> e2", "checkpoints/best": "-> e2", "artifacts/model.onnx": "model", "artifacts/plots/a.svg": "plot"})
	events, err := os.ReadFile(filepath.Join(s.here, "attempts", "1", spool.EventsFile))
	if err != nil || bytes.Count(events, []byte("\n")) != 2 {
		t.Errorf("events at home: %q, %v", events, err)
	}
}

// What home has and the volume lacks is fetched; what only the volume has stays.
func TestFetch(t *testing.T) {
	s := newSides(t)
	for rel, text := range map[string]string{"checkpoints/e1/w": "one", "checkpoints/e2/w": "two", "checkpoints/e2/deep/m": "manifest"} {
		at := filepath.Join(s.here, rel)
		s.must(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644))
	}
	s.must(os.Symlink("e2", filepath.Join(s.here, "checkpoints", "latest")))
	s.write("checkpoints/e1/w", "another one")
	s.write("checkpoints/e3/w", "three")
	r := &relay{spec: Spec{RunDir: s.there}, home: s.caller}
	s.must(r.fetchCheckpoints(t.Context()))
	want := files(t, s.here)
	want["checkpoints/e3/w"] = "three"
	if got := files(t, s.there); !reflect.DeepEqual(got, want) {
		t.Errorf("in the container there is %v, want %v", got, want)
	}
	if _, ok := r.there["checkpoints/e2"]; !ok || len(r.there) != 3 {
		t.Errorf("known to be at home: %v", r.there)
	}
}

// A container is not trusted with anything of the host but its run's
// checkpoints and artifacts.
func TestHomeRefuses(t *testing.T) {
	s := newSides(t)
	packed := func(names ...string) func(io.Writer) error {
		return func(w io.Writer) error {
			tw := tar.NewWriter(w)
			for _, name := range names {
				h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o644}
				if to, ok := strings.CutPrefix(name, "link "); ok {
					h = &tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: to}
				}
				if err := tw.WriteHeader(h); err != nil {
					return err
				}
				if h.Size > 0 {
					if _, err := tw.Write([]byte("x")); err != nil {
						return err
					}
				}
			}
			return tw.Close()
		}
	}
	before := tree(t, filepath.Dir(s.here))
	ctx := context.Background()
	for _, path := range []string{"", "x", "attempts/1/lock", "../x", "checkpoints", "checkpoints/../../x", "checkpoints/a/b", "checkpoints/.x", "/etc/x", "checkpoints/x\x00"} {
		var a Answer
		if s.caller.send(ctx, "/v1/tree", query("path", path), packed("w")) == nil || s.caller.small(ctx, "DELETE", "/v1/tree", query("path", path), nil, &a) == nil ||
			s.caller.small(ctx, "PUT", "/v1/link", query("path", path, "target", "e1"), nil, &a) == nil {
			t.Errorf("%q was taken", path)
		}
	}
	for _, name := range []string{"../w", "/w", "a/../../w", "link /etc"} {
		if s.caller.send(ctx, "/v1/tree", query("path", "checkpoints/e1"), packed("w", name)) == nil {
			t.Errorf("the entry %q was taken", name)
		}
	}
	for _, target := range []string{"", "..", "../x", "/etc", "nothing"} {
		var a Answer
		if s.caller.small(ctx, "PUT", "/v1/link", query("path", "checkpoints/latest", "target", target), nil, &a) == nil {
			t.Errorf("a link to %q was taken", target)
		}
	}
	for _, q := range [][]string{{"root", "/etc", "path", "hostname"}, {"root", "checkpoints", "path", "../attempts/1/events.ndjson"}, {"root", s.here, "path", "x"}} {
		if n, err := s.caller.fetch(ctx, query(q...), io.Discard); err == nil || n > 0 {
			t.Errorf("%q was answered with %d bytes", q, n)
		}
	}
	if _, err := newCaller(s.socket, "another").tree(ctx, "checkpoints"); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("another token: %v", err)
	}
	if after := tree(t, filepath.Dir(s.here)); !reflect.DeepEqual(after, before) {
		t.Errorf("before there was %q, and now %q", before, after)
	}
}

// tree lists all names below a folder but the mirror's lock and empty folders.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".mirror.lock" {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
