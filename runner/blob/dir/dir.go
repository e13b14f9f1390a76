// Package dir keeps blobs as files below a folder: on a shared disk, say.
package dir

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
)

// temporary begins the names of files that are being written.
const temporary = ".incoming-"

// Blobs is a folder that keeps blobs. Nothing outside it is ever touched, also
// not through symbolic links. The first Put makes the folder.
type Blobs struct {
	path string
	mu   sync.Mutex
	root *os.Root // nil as long as the folder is not there
}

// Open names the folder; it need not be there yet.
func Open(folder string) (*Blobs, error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	return &Blobs{path: abs}, nil
}

// open returns the folder, or an error that wraps fs.ErrNotExist.
func (b *Blobs) open(create bool) (*os.Root, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.root != nil {
		return b.root, nil
	}
	if create {
		if err := os.MkdirAll(b.path, 0o755); err != nil {
			return nil, fmt.Errorf("the folder for artifacts cannot be made: %w", err)
		}
	}
	root, err := os.OpenRoot(b.path)
	if err != nil {
		return nil, fmt.Errorf("the folder for artifacts cannot be used: %w", err)
	}
	b.root = root
	return root, nil
}

// Close gives the folder back.
func (b *Blobs) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.root == nil {
		return nil
	}
	return b.root.Close()
}

// URL implements runner.Blobs.
func (b *Blobs) URL(key string) string { return filepath.Join(b.path, filepath.FromSlash(key)) }

// Put implements runner.Blobs.
func (b *Blobs) Put(ctx context.Context, key, file string) error {
	if err := runner.CheckBlobKey(key); err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := b.open(true)
	if err != nil {
		return coded(key, err)
	}
	if err := root.MkdirAll(path.Dir(key), 0o755); err != nil {
		return coded(key, err)
	}
	name, err := temporaryName(path.Dir(key))
	if err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return coded(key, err)
	}
	_, err = io.Copy(out, reader{ctx, in})
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = root.Rename(name, key)
	}
	if err != nil {
		_ = root.Remove(name)
		return coded(key, err)
	}
	return durable.SyncDir(filepath.Join(b.path, filepath.FromSlash(path.Dir(key))))
}

// Get implements runner.Blobs.
func (b *Blobs) Get(ctx context.Context, key, file string) error {
	if err := runner.CheckBlobKey(key); err != nil {
		return err
	}
	root, err := b.open(false)
	if err != nil {
		return coded(key, err)
	}
	in, err := root.Open(key)
	if err != nil {
		return coded(key, err)
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || info.IsDir() {
		return coded(key, errors.Join(err, fs.ErrNotExist))
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(file), temporary+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reader{ctx, in})
	err = errors.Join(err, out.Chmod(0o644), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), file)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return err
	}
	return durable.SyncDir(filepath.Dir(file))
}

// List implements runner.Blobs.
func (b *Blobs) List(ctx context.Context, prefix string) ([]runner.Blob, error) {
	start := path.Dir(prefix + "x") // the folder that all such keys lie in
	root, err := b.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, coded(prefix, err)
	}
	var out []runner.Blob
	err = fs.WalkDir(root.FS(), start, func(key string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(key, prefix) || strings.HasPrefix(d.Name(), temporary) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		out = append(out, runner.Blob{Key: key, Size: info.Size(), Modified: info.ModTime(),
			ETag: fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())})
		return nil
	})
	slices.SortFunc(out, func(a, b runner.Blob) int { return strings.Compare(a.Key, b.Key) })
	return out, coded(prefix, err)
}

// Delete implements runner.Blobs. Folders that become empty go too.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := errors.Join(ctx.Err(), runner.CheckBlobKey(key)); err != nil {
			return err
		}
		root, err := b.open(false)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return coded(key, err)
		}
		if err := root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return coded(key, err)
		}
		for dir := path.Dir(key); dir != "." && root.Remove(dir) == nil; dir = path.Dir(dir) {
		}
	}
	return nil
}

func temporaryName(dir string) (string, error) {
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	return path.Join(dir, temporary+hex.EncodeToString(id[:])), nil
}

// coded gives an error of the file system the code that callers decide by.
func coded(key string, err error) error {
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return pipelines.Errorf(pipelines.CodeNotFound, "%s is not there: %w", key, err)
	case errors.Is(err, fs.ErrPermission):
		return pipelines.Errorf(pipelines.CodeInvalid, "%s: %w", key, err)
	}
	return pipelines.Errorf(pipelines.CodeUnavailable, "%s: %w", key, err)
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
