package work

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
)

// Fetch brings into the pod what its attempt starts with.
func (p Place) Fetch(ctx context.Context) error {
	m, err := p.read(ctx, "in.json")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return err
	}
	for _, f := range m.Files {
		at, err := within(m.Dir, f.Path)
		if err != nil {
			return err
		}
		if err := p.get(ctx, f, at); err != nil {
			return err
		}
	}
	for link, name := range m.Links {
		at, err := within(m.Dir, link)
		if err != nil {
			return err
		}
		if err := relink(at, name); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(m.Dir, ".incoming-") // a container's own file system may be small
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, s := range m.Sets {
		for i := range s.Packs {
			group.Go(func() error {
				at := filepath.Join(tmp, fmt.Sprintf("%s-%d", s.Key, i))
				defer os.Remove(at)
				if err := p.Blobs.Get(ctx, pack(s.Key, i), at); err != nil {
					return err
				}
				return unpack(at, s.To)
			})
		}
	}
	return group.Wait()
}

// incoming is where what becomes path is made: a name of its own, since
// several processes may follow one attempt.
func incoming(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".incoming-%s-%d-%d", filepath.Base(path), os.Getpid(), made.Add(1)))
}

var made atomic.Int64

// get writes a file from its parts, whole or not at all.
func (p Place) get(ctx context.Context, f file, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	tmp := incoming(to)
	defer os.Remove(tmp)
	if len(f.Parts) == 1 {
		if err := p.Blobs.Get(ctx, p.object(f.Parts[0].SHA256), tmp); err != nil {
			return err
		}
		return os.Rename(tmp, to)
	}
	out, err := os.Create(tmp)
	if err != nil {
		return err
	}
	for _, one := range f.Parts {
		if err == nil {
			err = p.appendPart(ctx, out, one)
		}
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

func (p Place) appendPart(ctx context.Context, w io.Writer, one part) error {
	dir, err := os.MkdirTemp("", "part")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "x")
	if err := p.Blobs.Get(ctx, p.object(one.SHA256), at); err != nil {
		return err
	}
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// unpack writes a pack's files below a folder, or its one file in its place.
func unpack(at, to string) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		target := to
		if h.Name != "." {
			if target, err = within(to, h.Name); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

// within is a path below a folder; a bucket's word is not trusted with others.
func within(dir, rel string) (string, error) {
	local := filepath.FromSlash(rel)
	if !filepath.IsLocal(local) {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "%q leads out of %s", rel, dir)
	}
	return filepath.Join(dir, local), nil
}

// relink makes a link, in place of what has its name.
func relink(at, name string) error {
	if name != filepath.Base(name) {
		return pipelines.Errorf(pipelines.CodeInvalid, "the link %s leads out of its folder", at)
	}
	tmp := incoming(at)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.RemoveAll(tmp), os.Symlink(name, tmp)); err != nil {
		return err
	}
	return os.Rename(tmp, at)
}
