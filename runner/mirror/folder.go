package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

// Folder is a run's folder that this process alone changes, as long as it is open.
type Folder struct {
	dir  string
	lock *os.File
}

const (
	lockFile = ".mirror.lock"
	hidden   = ".incoming-" // begins the names of what is being made, or removed
	lockPoll = 50 * time.Millisecond
)

// Open waits until no other process changes the folder, or ctx ends, and
// removes what one that was killed had begun.
func Open(ctx context.Context, runDir string) (*Folder, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(runDir, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	f := &Folder{dir: runDir, lock: lock}
	for err = flock(lock); errors.Is(err, syscall.EWOULDBLOCK); err = flock(lock) {
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), lock.Close())
		case <-time.After(lockPoll):
		}
	}
	if err == nil {
		err = f.sweep()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", runDir, err), lock.Close())
	}
	return f, nil
}

func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// Close lets others change the folder.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) sweep() error {
	for _, folder := range []string{Checkpoints, Artifacts} {
		entries, err := os.ReadDir(filepath.Join(f.dir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), hidden) {
				if err := os.RemoveAll(filepath.Join(f.dir, folder, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// place returns where an entry is, and where it is made.
func (f *Folder) place(name string) (at, part string, err error) {
	if whole, ok := entry(name); !ok || whole != name {
		return "", "", pipelines.Errorf(pipelines.CodeInvalid, "%.300q names nothing of a run's folder", name)
	}
	at = filepath.Join(f.dir, filepath.FromSlash(name))
	part = filepath.Join(filepath.Dir(at), hidden+filepath.Base(at))
	return at, part, os.RemoveAll(part)
}

// Replace makes an entry, in place of what has its name: fill writes a file or
// a folder of that path, which gets the name once it is on disk.
func (f *Folder) Replace(name string, fill func(path string) error) error {
	at, part, err := f.place(name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // what failed, or what was there before
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if err := fill(part); err != nil {
		return err
	}
	if err := syncTree(part); err != nil {
		return err
	}
	return swap(part, at)
}

// Link points the link name at its neighbour target, which is there.
func (f *Folder) Link(name, target string) error {
	at, part, err := f.place(name)
	if err != nil {
		return err
	}
	if !plain(target) || target == filepath.Base(at) {
		return pipelines.Errorf(pipelines.CodeInvalid, "a link of a run's folder leads to a neighbour, and not to %.300q", target)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(at), target)); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := os.Symlink(target, part); err != nil {
		return err
	}
	return swap(part, at)
}

// Remove removes an entry, and first the links that point at it.
func (f *Folder) Remove(name string) error {
	at, part, err := f.place(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(at)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == filepath.Base(at) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(at, part); errors.Is(err, fs.ErrNotExist) { // so that nobody sees half of it
		return nil
	} else if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(part), durable.SyncDir(dir))
}

// swap gives what was made its name. What had the name before, if it was a
// folder, has that of the part then.
func swap(part, at string) error {
	err := os.Rename(part, at)
	if err != nil { // a folder is in its way
		err = exchange(part, at)
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = errors.Join(os.Rename(at, part+".old"), os.Rename(part, at), os.RemoveAll(part+".old"))
	}
	return errors.Join(err, durable.SyncDir(filepath.Dir(at)))
}

// syncTree has all files of a tree on disk, and their names.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return durable.SyncDir(p) // a file is synced alike
	})
}
