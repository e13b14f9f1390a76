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
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Folders of a run that come home.
const (
	checkpoints = "checkpoints"
	artifacts   = "artifacts"
	inputs      = "inputs" // on the server only: what was sent
)

// fetchOn fetches files whenever some may have appeared, until ctx ends. What
// cannot be had now is fetched at the end.
func (d *driver) fetchOn(ctx context.Context) {
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

// fetch makes checkpoints and artifacts as they are on the server. A
// checkpoint appears whole, under its name, or not at all.
func (d *driver) fetch(ctx context.Context) error {
	for try := 0; ; try++ {
		a, err := d.call(ctx, MethodFiles, Call{})
		if err != nil {
			return err
		}
		err = d.mirror(ctx, a.Files)
		if pipelines.CodeOf(err) != pipelines.CodeNotFound || try == 10 { // removed there in the meantime, by the retention
			return err
		}
	}
}

func (d *driver) mirror(ctx context.Context, files []File) error {
	groups := map[string][]File{} // what appears together: a checkpoint, an artifact
	var order []string
	for _, f := range files {
		parts := strings.SplitN(f.Path, "/", 3)
		if len(parts) < 2 || parts[0] != checkpoints && parts[0] != artifacts {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) || f.Link != "" && f.Link != path.Base(f.Link) {
			return pipelines.Errorf(pipelines.CodeInvalid, "the server names a file %q that leads out of the run's folder", f.Path)
		}
		name := parts[0] + "/" + parts[1]
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], f)
	}
	for _, name := range order { // links last: they point to what is here by then
		if groups[name][0].Link == "" {
			if err := d.bring(ctx, name, groups[name]); err != nil {
				return err
			}
		}
	}
	for _, folder := range []string{checkpoints, artifacts} { // what was begun and is there no more
		here, err := os.ReadDir(filepath.Join(d.RunDir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range here {
			if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".part") {
				if err := os.RemoveAll(filepath.Join(d.RunDir, folder, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	kept := false
	for _, name := range order {
		kept = kept || strings.HasPrefix(name, checkpoints+"/")
		if link := groups[name][0].Link; link != "" {
			if err := relink(filepath.Join(d.RunDir, filepath.FromSlash(name)), link); err != nil {
				return err
			}
		}
	}
	if !kept {
		return nil
	}
	here, err := os.ReadDir(filepath.Join(d.RunDir, checkpoints))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range here { // what the retention removed there
		if name := e.Name(); groups[checkpoints+"/"+name] == nil && !strings.HasPrefix(name, ".") {
			if err := os.RemoveAll(filepath.Join(d.RunDir, checkpoints, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring fetches one checkpoint or artifact, unless it is here.
func (d *driver) bring(ctx context.Context, name string, files []File) error {
	final := filepath.Join(d.RunDir, filepath.FromSlash(name))
	if same(d.RunDir, files) {
		return nil
	}
	part := filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".part")
	for _, f := range files {
		to := part + strings.TrimPrefix(filepath.FromSlash(f.Path), filepath.FromSlash(name))
		if err := d.download(ctx, f, to); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(part, final)
}

// same reports that all files are here as they are there.
func same(runDir string, files []File) bool {
	for _, f := range files {
		info, err := os.Stat(filepath.Join(runDir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Size || !info.ModTime().Equal(f.MTime) {
			return false
		}
	}
	return true
}

// download fetches a file piece by piece.
func (d *driver) download(ctx context.Context, f File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for at := int64(0); at < f.Size; {
		a, err := d.call(ctx, MethodRead, Call{Path: f.Path, At: at})
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
	if err := out.Sync(); err != nil {
		return err
	}
	return os.Chtimes(to, time.Time{}, f.MTime)
}

// relink makes a link, or sets it anew, in one step.
func relink(at, to string) error {
	if now, err := os.Readlink(at); err == nil && now == to {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+".part")
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := os.Symlink(to, next); err != nil {
		return err
	}
	return os.Rename(next, at)
}

// sendInputs sends the weights and checkpoints that a task names, and names
// them as the server finds them.
func (d *driver) sendInputs(ctx context.Context, t pipelines.Task) (pipelines.Task, error) {
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
func (d *driver) sendCheckpoints(ctx context.Context) error {
	a, err := d.call(ctx, MethodFiles, Call{})
	if err != nil || slices.ContainsFunc(a.Files, func(f File) bool { return strings.HasPrefix(f.Path, checkpoints+"/") }) {
		return err
	}
	here, err := os.ReadDir(filepath.Join(d.RunDir, checkpoints))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	links := map[string]string{}
	for _, e := range here {
		local, to := filepath.Join(d.RunDir, checkpoints, e.Name()), path.Join(checkpoints, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Type()&fs.ModeSymlink != 0:
			if links[to], err = os.Readlink(local); err != nil {
				return err
			}
		default:
			if err := d.upload(ctx, local, to); err != nil {
				return err
			}
		}
	}
	for to, link := range links {
		if _, err := d.call(ctx, MethodWrite, Call{Path: to, Link: link}); err != nil {
			return err
		}
	}
	return nil
}

// upload sends a file or folder.
func (d *driver) upload(ctx context.Context, local, to string) error {
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

func (d *driver) uploadFile(ctx context.Context, local, to string) error {
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
