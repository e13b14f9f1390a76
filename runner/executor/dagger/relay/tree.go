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

	"github.com/trainwright/trainwright/runner/mirror"
)

// listData lists the files below a folder of data, links to files as what they
// lead to. Hidden names are none of it.
func listData(root string) ([]mirror.File, error) {
	var out []mirror.File
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p != root {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		if p != root && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return nil
		}
		if err == nil {
			out = append(out, mirror.File{Path: filepath.ToSlash(rel), Size: info.Size(), Time: info.ModTime()})
		}
		return err
	})
	return out, err
}

// pack writes the files of a checkpoint or artifact as a tar stream, with
// their paths below its name; "." = it is a file.
func pack(w io.Writer, runDir, name string, files []mirror.File) error {
	tw := tar.NewWriter(w)
	for _, f := range files {
		if err := packFile(tw, filepath.Join(runDir, filepath.FromSlash(f.Path)), f, name); err != nil {
			return err
		}
	}
	return tw.Close()
}

func packFile(tw *tar.Writer, p string, e mirror.File, name string) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Clean("./" + strings.TrimPrefix(e.Path, name)), Size: e.Size, Mode: 0o644, ModTime: e.Time, Format: tar.FormatPAX}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(tw, f, e.Size)
	return err
}

// unpack writes what pack wrote to a path, as a file or a folder.
func unpack(r io.Reader, to string) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(h.Name)) {
			return fmt.Errorf("entry %q is no file below the folder", h.Name)
		}
		if err := unpackFile(filepath.Join(to, filepath.FromSlash(h.Name)), tr, h.ModTime); err != nil {
			return err
		}
	}
}

func unpackFile(p string, r io.Reader, changed time.Time) error {
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Chtimes(p, time.Time{}, changed)
}
