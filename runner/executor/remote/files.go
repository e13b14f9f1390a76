package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/mirror"
)

// inputs is the folder of a run, on the server only, with what was sent.
const inputs = "inputs"

// fetchOn fetches files whenever some may have appeared, until ctx ends. What
// cannot be had now is fetched at the end.
func (d *attempt) fetchOn(ctx context.Context) {
	quiet := *d
	quiet.quiet = true
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
			if err := quiet.fetch(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "runner: files of the run could not be fetched yet:", err)
			}
		}
	}
}

// fetch makes checkpoints and artifacts as they are on the server.
func (d *attempt) fetch(ctx context.Context) error { return mirror.Pull(ctx, d.RunDir, server{d}) }

// server is the run's folder there.
type server struct{ *attempt }

func (s server) Files(ctx context.Context) ([]mirror.File, error) {
	a, err := s.call(ctx, MethodFiles, Call{})
	return slices.DeleteFunc(a.Files, func(f mirror.File) bool {
		return !strings.HasPrefix(f.Path, mirror.Checkpoints+"/") && !strings.HasPrefix(f.Path, mirror.Artifacts+"/")
	}), err
}

// Fetch fetches a file piece by piece.
func (s server) Fetch(ctx context.Context, f mirror.File, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	for at := int64(0); at < f.Size; {
		a, err := s.call(ctx, MethodRead, Call{Path: f.Path, At: at})
		if err != nil {
			return err
		}
		if a.Size != f.Size || len(a.Data) == 0 {
			return pipelines.Errorf(pipelines.CodeNotFound, "%s changed on the server while it was fetched", f.Path)
		}
		if _, err := out.Write(a.Data); err != nil {
			return err
		}
		at += int64(len(a.Data))
	}
	return out.Close()
}

// sendInputs sends the weights and checkpoints that a task names, and names
// them as the server finds them.
func (d *attempt) sendInputs(ctx context.Context, t pipelines.Task) (pipelines.Task, error) {
	var named []*string
	if t.Model != nil && t.Model.Weights != nil {
		m, w := *t.Model, *t.Model.Weights
		t.Model, m.Weights = &m, &w
		named = append(named, &w.Path)
		if w.Checkpoint != nil {
			ck := *w.Checkpoint
			w.Checkpoint = &ck
			named = append(named, &ck.Path)
		}
	}
	if t.Train != nil && t.Train.Start != nil {
		train, start := *t.Train, *t.Train.Start
		t.Train, train.Start = &train, &start
		named = append(named, &start.Checkpoint.Path)
	}
	if t.Evaluate != nil {
		e := *t.Evaluate
		t.Evaluate = &e
		named = append(named, &e.Checkpoint.Path)
	}
	if t.Export != nil {
		e := *t.Export
		t.Export = &e
		named = append(named, &e.Checkpoint.Path)
	}
	for i, name := range named {
		if *name == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(*name) // best and latest are links
		if err != nil {
			return t, pipelines.Errorf(pipelines.CodeNotFound, "%s starts from %s, which is not there: %w", t.Address, *name, err)
		}
		to := path.Join(inputs, strconv.Itoa(i), filepath.Base(real))
		if err := d.upload(ctx, real, to); err != nil {
			return t, err
		}
		*name = to
	}
	return t, nil
}

// sendCheckpoints gives a server that lost the run's checkpoints, or never had
// them, those that are here: the attempt goes on from the newest.
func (d *attempt) sendCheckpoints(ctx context.Context) error {
	a, err := d.call(ctx, MethodFiles, Call{})
	if err != nil || slices.ContainsFunc(a.Files, func(f mirror.File) bool { return strings.HasPrefix(f.Path, mirror.Checkpoints+"/") }) {
		return err
	}
	here, err := mirror.List(d.RunDir, mirror.Checkpoints)
	if err != nil {
		return err
	}
	for _, f := range here {
		if f.Link == "" {
			if err := d.uploadFile(ctx, filepath.Join(d.RunDir, filepath.FromSlash(f.Path)), f.Path); err != nil {
				return err
			}
		}
	}
	for _, f := range here {
		if f.Link != "" {
			if _, err := d.call(ctx, MethodWrite, Call{Path: f.Path, Link: f.Link}); err != nil {
				return err
			}
		}
	}
	return nil
}

// upload sends a file or folder.
func (d *attempt) upload(ctx context.Context, local, to string) error {
	return filepath.WalkDir(local, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(local, p)
		if err != nil {
			return err
		}
		return d.uploadFile(ctx, p, path.Join(to, filepath.ToSlash(rel)))
	})
}

func (d *attempt) uploadFile(ctx context.Context, local, to string) error {
	f, err := os.Open(local)
	if err != nil {
		return err
	}
	defer f.Close()
	d.say("sending " + local)
	defer d.say("")
	buf := make([]byte, Piece)
	for at := int64(0); ; {
		n, err := io.ReadFull(f, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if n > 0 || at == 0 {
			if _, err := d.call(ctx, MethodWrite, Call{Path: to, At: at, Data: buf[:n]}); err != nil {
				return err
			}
		}
		if at += int64(n); n < len(buf) {
			return nil
		}
	}
}
