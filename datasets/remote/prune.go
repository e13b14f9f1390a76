package remote

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Prune removes the datasets of a cache that were last fetched or asked for
// before a moment, and the contents that no other shares. It returns how many
// bytes that frees; dry, it removes nothing.
func Prune(dir string, before time.Time, dry bool) (int64, error) {
	trees, err := os.ReadDir(filepath.Join(dir, "trees"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	links := map[uint64]uint64{} // inode -> names of it that go
	var freed int64
	for _, t := range trees {
		info, err := t.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue
		}
		tree := filepath.Join(dir, "trees", t.Name())
		err = filepath.WalkDir(tree, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				if links[st.Ino]++; strings.HasPrefix(t.Name(), "unpacked-") {
					freed += info.Size()
				}
			}
			return nil
		})
		if err != nil {
			return freed, err
		}
		if !dry {
			if err := os.RemoveAll(tree); err != nil {
				return freed, err
			}
		}
	}
	objects, err := os.ReadDir(filepath.Join(dir, "objects"))
	if errors.Is(err, fs.ErrNotExist) {
		return freed, nil
	}
	if err != nil {
		return freed, err
	}
	for _, o := range objects {
		info, err := o.Info()
		if err != nil {
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		gone := links[st.Ino]
		if !dry {
			gone = 0 // the names are gone already
		}
		if !ok || uint64(st.Nlink) > 1+gone || info.ModTime().After(before) {
			continue
		}
		freed += info.Size()
		if !dry {
			if err := os.Remove(filepath.Join(dir, "objects", o.Name())); err != nil {
				return freed, err
			}
		}
	}
	return freed, nil
}
