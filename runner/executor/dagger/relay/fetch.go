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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trainwright/trainwright/runner/mirror"
)

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func (c *caller) tree(ctx context.Context, root string) ([]mirror.File, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // of a million files
	defer cancel()
	var list []mirror.File
	return list, c.get(ctx, "/v1/tree", query("root", root), &list)
}

// fetchCheckpoints brings the run's checkpoints that are at home and not in
// the volume, or other than there.
func (r *relay) fetchCheckpoints(ctx context.Context) error {
	s := &atHome{relay: r}
	if err := mirror.Pull(ctx, r.spec.RunDir, s); err != nil {
		return err
	}
	var err error
	r.there, err = mirror.Group(s.list)
	return err
}

// atHome is the run's folder at home.
type atHome struct {
	*relay
	list []mirror.File
}

// Files lists also what only the volume has, which stays: an earlier attempt
// may have ended before it was sent.
func (s *atHome) Files(ctx context.Context) ([]mirror.File, error) {
	var err error
	if s.list, err = s.home.tree(ctx, mirror.Checkpoints); err != nil {
		return nil, err
	}
	there, err := mirror.Group(s.list)
	if err != nil {
		return nil, err
	}
	here, err := mirror.List(s.spec.RunDir, mirror.Checkpoints)
	if err != nil {
		return nil, err
	}
	have, err := mirror.Group(here)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(s.list)
	for name, files := range have {
		if there[name] == nil {
			all = append(all, files...)
		}
	}
	return all, nil
}

func (s *atHome) Fetch(ctx context.Context, f mirror.File, to string) error {
	return s.fetch(ctx, mirror.Checkpoints, strings.TrimPrefix(f.Path, mirror.Checkpoints+"/"), to)
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
	work := make(chan mirror.File)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for e := range work {
				to := filepath.Join(p.Path, filepath.FromSlash(e.Path))
				if info, err := os.Stat(to); err == nil && info.Size() == e.Size && info.ModTime().Equal(e.Time) {
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
		work <- e
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return os.WriteFile(mark, nil, 0o644)
}
