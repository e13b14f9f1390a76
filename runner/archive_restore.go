package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// restoreRun brings back what a run needs to go on: its attempts' papers and
// the checkpoints that latest and best stand for, all of them without links.
func (a *Archive) restoreRun(ctx context.Context, run pipelines.Run) error {
	rec, ok := a.archived(run.ID)
	if !ok {
		return nil
	}
	var heads []string
	for link := range rec.Links {
		heads = append(heads, rec.resolve(link))
	}
	return a.restore(ctx, rec, run.Dir, func(file string) bool {
		return len(heads) == 0 || !strings.HasPrefix(file, "checkpoints/") || under(heads, file)
	})
}

// under reports whether a file is one of paths, or lies in one of them.
func under(paths []string, file string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return file == p || strings.HasPrefix(file, p+"/") })
}

// restoreResult brings back what a completed run's result points at.
func (a *Archive) restoreResult(ctx context.Context, run pipelines.Run) error {
	rec, ok := a.archived(run.ID)
	if !ok || run.Result == nil {
		return nil
	}
	var paths []string
	for _, c := range []*pipelines.Checkpoint{run.Result.Best, run.Result.Latest} {
		if c != nil {
			paths = append(paths, c.Path)
		}
	}
	for _, artifact := range run.Result.Artifacts {
		paths = append(paths, artifact.Path)
	}
	return a.restorePaths(ctx, rec, run.Dir, paths)
}

// restorePaths brings files and folders of a run back.
func (a *Archive) restorePaths(ctx context.Context, rec archived, runDir string, paths []string) error {
	var wanted []string
	for _, p := range paths {
		if rel, err := filepath.Rel(runDir, p); err == nil {
			wanted = append(wanted, rec.resolve(filepath.ToSlash(rel)))
		}
	}
	return a.restore(ctx, rec, runDir, func(file string) bool { return under(wanted, file) })
}

// restore brings the wanted files back that are not here, each verified
// against its hash, a checkpoint's manifest last, then the links.
func (a *Archive) restore(ctx context.Context, rec archived, dir string, wanted func(string) bool) error {
	files := slices.Clone(rec.Files)
	slices.SortStableFunc(files, func(x, y archivedFile) int { return manifestLast(x.Path) - manifestLast(y.Path) })
	for _, f := range files {
		if !wanted(f.Path) {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return pipelines.Errorf(pipelines.CodeInternal, "the record of run %s names %q, outside its folder", rec.Run.ID, f.Path)
		}
		if err := a.restoreFile(ctx, rec, f, filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil {
			return fmt.Errorf("bring %s of run %s back: %w", f.Path, rec.Run.ID, err)
		}
	}
	for link, name := range rec.Links {
		at := filepath.Join(dir, filepath.FromSlash(link))
		if !filepath.IsLocal(filepath.FromSlash(link)) || name != path.Base(name) {
			return pipelines.Errorf(pipelines.CodeInternal, "the record of run %s has a link %q to %q", rec.Run.ID, link, name)
		}
		if !exists(filepath.Join(filepath.Dir(at), name)) {
			continue
		}
		if err := relink(name, at); err != nil {
			return err
		}
	}
	return nil
}

// relink makes a link point to name, whatever it pointed to.
func relink(name, at string) error {
	if was, err := os.Readlink(at); err == nil && was == name {
		return nil
	}
	tmp := filepath.Join(filepath.Dir(at), ".restored-"+filepath.Base(at))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(name, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, at)
}

func manifestLast(file string) int {
	if path.Base(file) == "manifest.json" {
		return 1
	}
	return 0
}

func (a *Archive) restoreFile(ctx context.Context, rec archived, f archivedFile, to string) error {
	if info, err := os.Stat(to); err == nil && info.Size() == f.size() && (len(f.Parts) != 1 || verify(to, f.Parts[0].SHA256) == nil) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if len(f.Parts) == 1 { // large files: straight to their place, resumable
		if err := a.Blobs.Get(ctx, runKey(rec.Run.ID, f.Parts[0].Key), to); err != nil {
			return err
		}
		if err := verify(to, f.Parts[0].SHA256); err != nil {
			return errors.Join(err, os.Remove(to))
		}
		return nil
	}
	data, err := a.join(ctx, rec, f)
	if err != nil {
		return err
	}
	return durable.WriteFile(to, data, 0o644)
}

// join returns the content of a file in parts.
func (a *Archive) join(ctx context.Context, rec archived, f archivedFile) ([]byte, error) {
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var data []byte
	for i, part := range f.Parts {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := a.Blobs.Get(ctx, runKey(rec.Run.ID, part.Key), file); err != nil {
			return nil, err
		}
		if err := verify(file, part.SHA256); err != nil {
			return nil, err
		}
		one, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		data = append(data, one...)
	}
	return data, nil
}

func (f archivedFile) size() int64 {
	var n int64
	for _, p := range f.Parts {
		n += p.Size
	}
	return n
}

func verify(file, want string) error {
	got, err := hashPath(file)
	if err != nil {
		return err
	}
	if got != "sha256:"+want {
		return pipelines.Errorf(pipelines.CodeInternal, "what came back has hash %s, the record says %s: the archive is damaged there", short(got), short("sha256:"+want))
	}
	return nil
}

// takeEvents files the archived events of an attempt.
func (a *Archive) takeEvents(ctx context.Context, store Store, rec archived, f archivedFile, from, to string) error {
	data, err := a.join(ctx, rec, f)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, spool.EventsFile)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	r := spool.NewReader(file, 0, 0)
	for {
		events, err := r.Next()
		var line *spool.LineError
		if err != nil && !errors.As(err, &line) {
			return err
		}
		if len(events) == 0 && err == nil {
			return nil
		}
		for i := range events {
			events[i] = moveEvent(events[i], from, to)
		}
		if len(events) > 0 {
			if _, err := store.AppendEvents(ctx, rec.Run.ID, events); err != nil {
				return err
			}
		}
	}
}
