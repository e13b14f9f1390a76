package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/executor/remote"
	"github.com/trainwright/trainwright/runner/mirror"
)

// inputs is the folder of a run with what the client sent.
const inputs = "inputs"

// followPoll is how often the spool is looked at while somebody waits for it.
const followPoll = 50 * time.Millisecond

// follow tells what is new, waiting for it.
func (h *Host) follow(ctx context.Context, c remote.Call) (remote.Answer, error) {
	h.mu.Lock()
	a, err := h.known(attemptDir(h.runDir(c.RunID), c.Attempt))
	h.mu.Unlock()
	if err != nil {
		return remote.Answer{}, err
	}
	first := h.stateOf(a)
	for deadline := time.Now().Add(time.Duration(min(max(c.Wait, 0), remote.MaxWait)) * time.Second); ; {
		out := h.stateOf(a) // before reading: what is written before the end is read
		if out.Events, err = lines(filepath.Join(a.dir, spool.EventsFile), c.Offset); err != nil {
			return out, err
		}
		if out.Output, err = piece(filepath.Join(a.dir, spool.LogFile), c.Output); err != nil {
			return out, err
		}
		out.Offset, out.Log = c.Offset+int64(len(out.Events)), c.Output+int64(len(out.Output))
		nothing := len(out.Events) == 0 && len(out.Output) == 0
		out.Done = nothing && out.State == remote.StateEnded
		changed := out.State != first.State || out.Waiting != first.Waiting
		if !nothing || out.Done || changed || !time.Now().Before(deadline) || h.ctx.Err() != nil {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, nil
		case <-h.ctx.Done():
		case <-time.After(followPoll):
		}
	}
}

// lines reads whole lines from an offset on, a megabyte of them or one.
func lines(name string, at int64) ([]byte, error) {
	for size := int64(1 << 20); ; size *= 4 {
		text, err := read(name, at, size)
		if err != nil {
			return nil, err
		}
		for i := len(text); i > 0; i-- {
			if text[i-1] == '\n' {
				return text[:i], nil
			}
		}
		if int64(len(text)) < size || size > spool.MaxLine {
			return nil, nil
		}
	}
}

func piece(name string, at int64) ([]byte, error) { return read(name, at, 1<<20) }

func read(name string, at, size int64) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, at, size))
}

// files lists checkpoints and artifacts.
func (h *Host) files(c remote.Call) (out remote.Answer, err error) {
	out.Files, err = mirror.List(h.runDir(c.RunID), mirror.Checkpoints, mirror.Artifacts)
	return out, err
}

// inside opens the run's folder, out of which no path leads, and checks a path.
func (h *Host) inside(c remote.Call, folders ...string) (*os.Root, string, error) {
	folder, _, _ := strings.Cut(c.Path, "/")
	ok := filepath.IsLocal(c.Path) && path.Clean(c.Path) == c.Path && strings.Contains(c.Path, "/")
	for _, f := range folders {
		if ok && f == folder {
			root, err := os.OpenRoot(h.runDir(c.RunID))
			if errors.Is(err, fs.ErrNotExist) {
				err = pipelines.Errorf(pipelines.CodeNotFound, "this server has no run %s", c.RunID)
			}
			return root, filepath.FromSlash(c.Path), err
		}
	}
	return nil, "", pipelines.Errorf(pipelines.CodeInvalid, "%.300q is no file of a run that may be named here", c.Path)
}

// read sends a piece of a file.
func (h *Host) read(c remote.Call) (out remote.Answer, err error) {
	root, name, err := h.inside(c, mirror.Checkpoints, mirror.Artifacts)
	if err != nil {
		return out, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	var f *os.File
	if err == nil {
		f, err = root.Open(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return out, pipelines.Errorf(pipelines.CodeNotFound, "run %s has no file %s now", c.RunID, c.Path)
	}
	if err != nil {
		return out, err
	}
	defer f.Close()
	out.Size = info.Size()
	out.Data, err = io.ReadAll(io.NewSectionReader(f, c.At, remote.Piece))
	return out, err
}

// write takes a piece of a file that an attempt starts from; pieces come in
// order, and may come again.
func (h *Host) write(c remote.Call) (out remote.Answer, err error) {
	if err := os.MkdirAll(h.runDir(c.RunID), 0o755); err != nil {
		return out, err
	}
	root, name, err := h.inside(c, inputs, mirror.Checkpoints)
	if err != nil {
		return out, err
	}
	defer root.Close()
	if len(c.Data) > remote.Piece || c.At < 0 || c.Link != "" && c.Link != filepath.Base(c.Link) {
		return out, pipelines.Errorf(pipelines.CodeInvalid, "%s: a piece is at most %d bytes, and a link leads to a neighbour", c.Path, remote.Piece)
	}
	if err := h.mayWrite(c); err != nil {
		return out, err
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return out, err
	}
	if c.Link != "" {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
		return out, root.Symlink(c.Link, name)
	}
	flags := os.O_CREATE | os.O_WRONLY
	if c.At == 0 {
		flags |= os.O_TRUNC
	}
	f, err := root.OpenFile(name, flags, 0o644)
	if err != nil {
		return out, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < c.At {
		err = pipelines.Errorf(pipelines.CodeConflict, "%s has %d bytes, and the piece begins at %d", c.Path, info.Size(), c.At)
	}
	if err == nil {
		_, err = f.WriteAt(c.Data, c.At)
	}
	out.Size = c.At + int64(len(c.Data))
	return out, errors.Join(err, f.Close())
}

// mayWrite refuses files for an attempt that was started: it may be reading them.
func (h *Host) mayWrite(c remote.Call) error {
	_, err := os.Stat(filepath.Join(attemptDir(h.runDir(c.RunID), c.Attempt), orderFile))
	if err == nil {
		return pipelines.Errorf(pipelines.CodeConflict, "attempt %d of run %s was handed in already", c.Attempt, c.RunID)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
