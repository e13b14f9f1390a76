package relay

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines/durable"
)

// List lists the files and links below root, without those of hidden names,
// which are being written. A missing root is empty.
func List(root string) ([]Entry, error) {
	var out []Entry
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while it was looked at, or not there at all
		}
		if err != nil {
			return err
		}
		if p == root && d.Type()&fs.ModeSymlink == 0 {
			if d.IsDir() {
				return nil
			}
		} else if strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		e := Entry{Path: filepath.ToSlash(rel), Size: info.Size(), Time: info.ModTime().UnixNano()}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			if e.Target, err = os.Readlink(p); err != nil {
				return err
			}
			e.Size, e.Time = 0, 0
		case !info.Mode().IsRegular():
			return nil
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// byTop groups entries by the first part of their path.
func byTop(list []Entry) map[string][]Entry {
	out := map[string][]Entry{}
	for _, e := range list {
		top, rest, _ := strings.Cut(e.Path, "/")
		e.Path = rest
		out[top] = append(out[top], e)
	}
	return out
}

func same(a, b []Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a { // both in lexical order
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// pack writes a file or the files below a folder as a tar stream.
func pack(w io.Writer, root string) error {
	list, err := List(root)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: %w", root, fs.ErrNotExist)
	}
	tw := tar.NewWriter(w)
	for _, e := range list {
		if e.Target != "" {
			continue
		}
		if err := packFile(tw, filepath.Join(root, filepath.FromSlash(e.Path)), e); err != nil {
			return err
		}
	}
	return tw.Close()
}

func packFile(tw *tar.Writer, p string, e Entry) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Size: e.Size, Mode: 0o644, ModTime: time.Unix(0, e.Time), Format: tar.FormatPAX}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(tw, f, e.Size)
	return err
}

// unpack replaces dir/name by what a tar stream holds: the entry "." alone
// makes a file, others a folder. Everything is on disk before the name is.
func unpack(r io.Reader, dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, ".incoming-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return err
	}
	defer root.Close()
	single := false
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || p != "." && !filepath.IsLocal(filepath.FromSlash(p)) {
			return fmt.Errorf("entry %q is no file below the folder", h.Name)
		}
		if p == "." {
			p, single = "file", true
		}
		if err := unpackFile(root, filepath.FromSlash(p), tr, h.ModTime); err != nil {
			return err
		}
	}
	from, to := tmp, filepath.Join(dir, name)
	if single {
		from = filepath.Join(tmp, "file")
	} else if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := syncDirs(tmp); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func unpackFile(root *os.Root, p string, r io.Reader, changed time.Time) error {
	if err := root.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Chtimes(p, changed, changed)
}

// syncDirs syncs the folders below root and root itself.
func syncDirs(root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return durable.SyncDir(p)
	})
}

// link makes dir/name point to its sibling target, at once for who looks.
func link(dir, name, target string) error {
	tmp := filepath.Join(dir, ".link-"+name)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	to := filepath.Join(dir, name)
	if info, err := os.Lstat(to); err == nil && info.IsDir() {
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, to); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}
