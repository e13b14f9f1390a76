package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func (c *caller) tree(ctx context.Context, root string) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // of a million files
	defer cancel()
	var list []Entry
	return list, c.get(ctx, "/v1/tree", query("root", root), &list)
}

// fetchCheckpoints brings the run's checkpoints that are at home and not in
// the volume, or other than there. What only the volume has stays: an earlier
// attempt may have ended before it was sent.
func (r *relay) fetchCheckpoints(ctx context.Context) error {
	dir := filepath.Join(r.spec.RunDir, "checkpoints")
	there, err := r.home.tree(ctx, "checkpoints")
	if err != nil {
		return err
	}
	here, err := List(dir)
	if err != nil {
		return err
	}
	have := byTop(here)
	r.there = byTop(there)
	for name, files := range r.there {
		if same(files, have[name]) {
			continue
		}
		if err := r.fetchCheckpoint(ctx, dir, name, files); err != nil {
			return err
		}
	}
	return nil
}

func (r *relay) fetchCheckpoint(ctx context.Context, dir, name string, files []Entry) error {
	if len(files) == 1 && files[0].Target != "" {
		return link(dir, name, files[0].Target)
	}
	if len(files) == 1 && files[0].Path == "" {
		e := files[0]
		e.Path = name
		return r.fetchFile(ctx, "checkpoints", e, filepath.Join(dir, name))
	}
	tmp, err := os.MkdirTemp(dir, ".incoming-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, e := range files {
		to := filepath.Join(tmp, filepath.FromSlash(e.Path))
		e.Path = name + "/" + e.Path
		if err := r.fetchFile(ctx, "checkpoints", e, to); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	to := filepath.Join(dir, name)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// fetchData fills a volume with a folder's files, those it lacks only: a
// fetch that was cut short goes on.
func (r *relay) fetchData(ctx context.Context, p Pull) error {
	sum := sha256.Sum256([]byte(p.Key))
	mark := filepath.Join(p.Path, ".complete-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(mark); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	list, err := r.home.tree(ctx, p.Path)
	if err != nil {
		return err
	}
	work := make(chan Entry)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for e := range work {
				to := filepath.Join(p.Path, filepath.FromSlash(e.Path))
				if info, err := os.Stat(to); err == nil && info.Size() == e.Size && info.ModTime().UnixNano() == e.Time {
					continue
				}
				if err := r.fetchFile(ctx, p.Path, e, to); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, e := range list {
		if ctx.Err() != nil {
			break
		}
		if e.Target == "" {
			work <- e
		}
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return os.WriteFile(mark, nil, 0o644)
}
