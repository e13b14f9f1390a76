package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Source is a run's folder elsewhere.
type Source interface {
	// Files lists what is wanted of it.
	Files(ctx context.Context) ([]File, error)
	// Fetch writes one of its files to a path. An error of code not_found says
	// that it is gone there.
	Fetch(ctx context.Context, f File, to string) error
}

// Pull makes a run's folder like a source.
func Pull(ctx context.Context, runDir string, from Source) error {
	f, err := Open(ctx, runDir)
	if err != nil {
		return err
	}
	err = CatchUp(ctx, func(ctx context.Context) (want, have Entries, err error) {
		files, err := from.Files(ctx)
		if err != nil {
			return nil, nil, err
		}
		if want, err = Group(files); err != nil {
			return nil, nil, err
		}
		have, err = f.entries(want)
		return want, have, err
	}, puller{f, from})
	return errors.Join(err, f.Close())
}

// puller puts a source's files into a folder.
type puller struct {
	*Folder
	from Source
}

func (p puller) Put(ctx context.Context, name string, files []File) error {
	return p.Replace(name, func(part string) error {
		for _, f := range files {
			to := part + filepath.FromSlash(strings.TrimPrefix(f.Path, name))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := p.from.Fetch(ctx, f, to); err != nil {
				return err
			}
			if err := verify(f, to); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p puller) Link(_ context.Context, name, target string) error {
	return p.Folder.Link(name, target)
}
func (p puller) Remove(_ context.Context, name string) error { return p.Folder.Remove(name) }

// verify checks what came and gives it the time that it has over there.
func verify(f File, at string) error {
	info, err := os.Stat(at)
	if err != nil {
		return err
	}
	if info.Size() != f.Size {
		return pipelines.Errorf(pipelines.CodeNotFound, "%s changed while it was fetched: %d bytes came, and there were %d", f.Path, info.Size(), f.Size)
	}
	if f.SHA256 != "" {
		if sum, err := hash(at); err != nil || sum != f.SHA256 {
			return errors.Join(err, pipelines.Errorf(pipelines.CodeUnavailable, "%s came damaged: its hash is %s and should be %s", f.Path, sum, f.SHA256))
		}
	}
	if f.Time.IsZero() {
		return nil
	}
	return os.Chtimes(at, time.Time{}, f.Time)
}

// entries lists what the folder has, with the hashes that tell whether it is
// what is wanted.
func (f *Folder) entries(want Entries) (Entries, error) {
	files, err := List(f.dir, Checkpoints, Artifacts)
	if err != nil {
		return nil, err
	}
	have, err := Group(files)
	if err != nil {
		return nil, err
	}
	for name, wanted := range want {
		if wanted[0].Path == name && have[name] == nil {
			info, err := os.Stat(filepath.Join(f.dir, filepath.FromSlash(name)))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			have[name] = []File{{Path: name, Size: info.Size(), Time: info.ModTime()}}
		}
		for i, w := range wanted {
			if w.SHA256 == "" || i >= len(have[name]) || have[name][i].Path != w.Path || have[name][i].Size != w.Size {
				continue
			}
			if have[name][i].SHA256, err = hash(filepath.Join(f.dir, filepath.FromSlash(w.Path))); err != nil {
				return nil, err
			}
		}
	}
	return have, nil
}

func hash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}
