package work

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/mirror"
)

// Fetch brings into the pod what its attempt starts with.
func (p Place) Fetch(ctx context.Context) error {
	m, err := p.read(ctx, "in.json")
	if err != nil {
		return err
	}
	all := func(mirror.File) bool { return true }
	if err := mirror.Pull(ctx, m.Dir, &sent{place: p, name: "in.json", first: &m, wanted: all}); err != nil {
		return err
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
