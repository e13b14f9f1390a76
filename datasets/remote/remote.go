// Package remote brings datasets that lie elsewhere into a folder of this
// machine: from object storage, and out of tar and zip archives.
package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

// Object is a file in object storage.
type Object struct {
	Key  string // below the source
	Size int64  // bytes
	ETag string // changes with the content
}

// Source reads a place in object storage. Get goes on where an earlier one of
// the same content was cut short.
type Source interface {
	List(ctx context.Context, prefix string) ([]Object, error)
	Get(ctx context.Context, key, file string) error
}

// Cache keeps data sets by content, so that two versions of one share what is
// equal and nothing is fetched twice:
//
//	ids/HASH       the content hash of an object of that address, ETag and size
//	objects/SHA256 contents
//	trees/HASH     data sets, as links to contents
type Cache struct {
	Dir string
	// Open opens the bucket of an s3:// address.
	Open func(ctx context.Context, bucket string) (Source, error)
	// Progress is told how much of what has to be fetched is there, now and
	// then and from several goroutines; nil = nobody is.
	Progress func(address string, done, total int64)
	// Limits of archives; the zero value is generous.
	Limits Limits

	mu    sync.Mutex
	known map[string]string // address -> folder, in this process
}

// parallel is how many objects are fetched at once.
const parallel = 8

// IsRemote reports that a path needs Fetch: an address, or an archive.
func IsRemote(p string) bool { return strings.Contains(p, "://") || archiveKind(p) != "" }

// Fetch returns the local folder of the dataset at a path: an s3:// prefix or
// archive, a tar or zip file here; any other path is returned as it is. What
// is fetched again is what changed there since.
func (c *Cache) Fetch(ctx context.Context, p string) (string, error) {
	if !IsRemote(p) {
		return p, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock() // two steps that need one dataset fetch it once
	if dir, ok := c.known[p]; ok {
		return dir, nil
	}
	dir, err := c.fetch(ctx, p)
	if err != nil {
		return "", err
	}
	if c.known == nil {
		c.known = map[string]string{}
	}
	c.known[p] = dir
	return dir, nil
}

func (c *Cache) fetch(ctx context.Context, p string) (string, error) {
	if !strings.Contains(p, "://") {
		return c.unpack(ctx, p)
	}
	u, err := url.Parse(p)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "%q is no address of a dataset: wanted a path or s3://BUCKET/PREFIX", p)
	}
	source, err := c.Open(ctx, u.Host)
	if err != nil {
		return "", err
	}
	key := strings.Trim(u.Path, "/")
	if archiveKind(key) != "" {
		return c.remoteArchive(ctx, source, p, key)
	}
	prefix := key
	if prefix != "" {
		prefix += "/"
	}
	objects, err := source.List(ctx, prefix)
	if err != nil {
		return "", err
	}
	if len(objects) == 0 {
		return "", pipelines.Errorf(pipelines.CodeNotFound, "there is nothing under %s", p)
	}
	return c.tree(ctx, source, p, prefix, objects)
}

// file is a file of a data set: where it goes and what is in it.
type file struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	object Object
}

// tree fetches what is missing and builds the folder.
func (c *Cache) tree(ctx context.Context, source Source, address, prefix string, objects []Object) (string, error) {
	files := make([]file, len(objects))
	var missing []int
	var total int64
	for i, o := range objects {
		rel := strings.TrimPrefix(o.Key, prefix)
		if err := checkName(rel); err != nil {
			return "", pipelines.Errorf(pipelines.CodeInvalid, "%s: %w", address, err)
		}
		files[i] = file{Path: rel, object: o}
		if files[i].SHA256 = c.content(address, o); files[i].SHA256 == "" {
			missing = append(missing, i)
			total += o.Size
		}
	}
	if err := c.room(total); err != nil {
		return "", err
	}
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, i := range missing {
		group.Go(func() error {
			sum, err := c.object(ctx, source, address, files[i].object)
			if err != nil {
				return err
			}
			files[i].SHA256 = sum
			if now := done.Add(files[i].object.Size); c.Progress != nil {
				c.Progress(address, now, total)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	return c.build(files)
}

// content returns the hash of an object's content if it is here.
func (c *Cache) content(address string, o Object) string {
	text, err := os.ReadFile(c.id(address, o))
	if err != nil {
		return ""
	}
	sum := strings.TrimSpace(string(text))
	if info, err := os.Stat(c.objectPath(sum)); err != nil || info.Size() != o.Size {
		return ""
	}
	return sum
}

func (c *Cache) id(address string, o Object) string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", bucket, o.Key, o.ETag, o.Size))
	return filepath.Join(c.Dir, "ids", hex.EncodeToString(sum[:]))
}

func (c *Cache) objectPath(sum string) string { return filepath.Join(c.Dir, "objects", sum) }

// object fetches one object into the cache.
func (c *Cache) object(ctx context.Context, source Source, address string, o Object) (string, error) {
	id := c.id(address, o)
	incoming := filepath.Join(c.Dir, "incoming", filepath.Base(id)) // the same name each time: a Get goes on
	if err := source.Get(ctx, o.Key, incoming); err != nil {
		return "", err
	}
	sum, err := hashFile(incoming)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "objects"), 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(incoming, c.objectPath(sum)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(id), 0o755); err != nil {
		return "", err
	}
	return sum, durable.WriteFile(id, []byte(sum+"\n"), 0o644)
}

// build makes the folder of a data set from contents that are here.
func (c *Cache) build(files []file) (string, error) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	listing, err := json.Marshal(files)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(listing)
	to := filepath.Join(c.Dir, "trees", hex.EncodeToString(sum[:]))
	if exists(to) {
		used(to)
		return descend(to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(to), ".building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for _, f := range files {
		at := filepath.Join(tmp, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return "", err
		}
		if err := os.Link(c.objectPath(f.SHA256), at); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tmp, to); err != nil && !exists(to) { // another process was faster
		return "", err
	}
	return descend(to)
}

// used notes that a data set is in use, for Prune.
func used(tree string) {
	now := time.Now()
	_ = os.Chtimes(tree, now, now) // then it looks older than it is
}

// descend enters folders that are alone in theirs, as archives often have one.
func descend(dir string) (string, error) {
	for range 3 {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		if len(entries) != 1 || !entries[0].IsDir() {
			return dir, nil
		}
		dir = filepath.Join(dir, entries[0].Name())
	}
	return dir, nil
}

// checkName refuses names that would leave the folder, or hide in it.
func checkName(rel string) error {
	if rel == "" || path.Clean(rel) != rel || !filepath.IsLocal(filepath.FromSlash(rel)) || strings.ContainsAny(rel, "\x00\\") || len(rel) > 1000 {
		return fmt.Errorf("%q is no name of a file in a dataset: names are relative, at most 1000 bytes, without .. and backslashes", rel)
	}
	return nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
