package remote

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// Limits bound what an archive may become. Zero fields mean the defaults.
type Limits struct {
	Entries int64 // files; default 5,000,000
	Bytes   int64 // unpacked; default 500 GB
	Ratio   int64 // unpacked bytes for each packed one, beyond the first 64 MB; default 100
}

func (l Limits) filled() Limits {
	if l.Entries == 0 {
		l.Entries = 5_000_000
	}
	if l.Bytes == 0 {
		l.Bytes = 500 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 100
	}
	return l
}

// archiveKind is zip, tar or tgz by the name's ending, or "".
func archiveKind(name string) string {
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, ".zip"):
		return "zip"
	case strings.HasSuffix(lower, ".tar"):
		return "tar"
	case strings.HasSuffix(lower, ".tar.gz"), strings.HasSuffix(lower, ".tgz"):
		return "tgz"
	}
	return ""
}

// remoteArchive fetches an archive and unpacks it.
func (c *Cache) remoteArchive(ctx context.Context, source Source, address, key string) (string, error) {
	objects, err := source.List(ctx, key)
	if err != nil {
		return "", err
	}
	for _, o := range objects {
		if o.Key != key {
			continue
		}
		sum := c.content(address, o)
		if sum == "" {
			if err := c.room(o.Size); err != nil {
				return "", err
			}
			if sum, err = c.object(ctx, source, address, o); err != nil {
				return "", err
			}
			if c.Progress != nil {
				c.Progress(address, o.Size, o.Size)
			}
		}
		return c.unpacked(ctx, address, archiveKind(key), c.objectPath(sum), sum)
	}
	return "", pipelines.Errorf(pipelines.CodeNotFound, "%s is not there", address)
}

// unpack unpacks an archive of this machine.
func (c *Cache) unpack(ctx context.Context, p string) (string, error) {
	if info, err := os.Stat(p); err == nil && info.IsDir() {
		return p, nil // a folder may be called data.zip
	}
	sum, err := hashFile(p)
	if errors.Is(err, os.ErrNotExist) {
		return "", pipelines.Errorf(pipelines.CodeNotFound, "there is no file %s", p)
	}
	if err != nil {
		return "", err
	}
	return c.unpacked(ctx, p, archiveKind(p), p, sum)
}

// unpacked returns the folder of an archive of that content; it is unpacked once.
func (c *Cache) unpacked(ctx context.Context, address, kind, archive, sum string) (string, error) {
	to := filepath.Join(c.Dir, "trees", "unpacked-"+sum)
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
	info, err := os.Stat(archive)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return "", err
	}
	defer root.Close()
	w := &writer{ctx: ctx, root: root, limits: c.Limits.filled(), packed: info.Size()}
	if kind == "zip" {
		err = w.zip(archive)
	} else {
		err = w.tar(archive, kind == "tgz")
	}
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", pipelines.Errorf(pipelines.CodeInvalid, "the archive %s cannot be used: %w", address, err)
	}
	if w.entries == 0 {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "the archive %s has no files", address)
	}
	if err := os.Rename(tmp, to); err != nil && !exists(to) {
		return "", err
	}
	return descend(to)
}

// writer writes the files of an archive below a root that nothing can leave.
type writer struct {
	ctx     context.Context
	root    *os.Root
	limits  Limits
	packed  int64 // bytes of the archive
	entries int64
	bytes   int64
}

// free is what an archive may become whatever its size.
const free = 64 << 20

func (w *writer) add(name string, content io.Reader) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	name = strings.TrimPrefix(name, "./")
	if err := checkName(name); err != nil {
		return err
	}
	if w.entries++; w.entries > w.limits.Entries {
		return fmt.Errorf("it has more than %d files", w.limits.Entries)
	}
	if dir := filepath.Dir(filepath.FromSlash(name)); dir != "." {
		if err := w.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	f, err := w.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("it has %q twice", name)
	}
	if err != nil {
		return err
	}
	left := min(w.limits.Bytes, free+w.packed*w.limits.Ratio) - w.bytes
	n, err := io.Copy(f, io.LimitReader(content, left+1))
	if w.bytes += n; err == nil && n > left {
		err = fmt.Errorf("it becomes more than %d MB, out of %d MB packed: that is no dataset of images", (w.bytes-1)>>20, w.packed>>20)
	}
	return errors.Join(err, f.Close())
}

func (w *writer) zip(archive string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		switch mode := f.Mode(); {
		case mode.IsDir():
			continue
		case !mode.IsRegular():
			return fmt.Errorf("%q is a link or a device, and only files and folders are unpacked", f.Name)
		}
		content, err := f.Open()
		if err != nil {
			return fmt.Errorf("%q: %w", f.Name, err)
		}
		err = w.add(f.Name, content)
		if err = errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) tar(archive string, packed bool) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = bufio.NewReaderSize(f, 1<<20)
	if packed {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg:
			if err := w.add(h.Name, r); err != nil {
				return err
			}
		case tar.TypeDir, tar.TypeXGlobalHeader:
		default:
			return fmt.Errorf("%q is a link or a device, and only files and folders are unpacked", h.Name)
		}
	}
}
