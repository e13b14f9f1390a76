package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// Content is what a checkpoint is made of.
type Content struct {
	Epoch      int
	GlobalStep int64
	Complete   bool
	Metrics    map[string]float64 // those that are not finite are left out
	Bytes      int64              // about how many bytes the files will take
	Files      map[string]func(io.Writer) error
}

// ErrNoSpace means that a checkpoint was not written because the disk is too full.
var ErrNoSpace = errors.New("not enough free disk space for a checkpoint")

// Write makes the checkpoint dir/name. It returns once the checkpoint would
// survive a power cut, or leaves nothing behind. An existing one of that name,
// left by an attempt that was given up, is replaced.
func Write(dir, name string, c Content) (Info, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Info{}, fmt.Errorf("write checkpoint %s: %w", name, err)
	}
	if err := checkSpace(dir, c.Bytes); err != nil {
		return Info{}, err
	}
	tmp, err := os.MkdirTemp(dir, ".tmp-"+name+"-")
	if err != nil {
		return Info{}, fmt.Errorf("write checkpoint %s: %w", name, err)
	}
	info, err := fill(tmp, c)
	if err == nil {
		err = publish(tmp, filepath.Join(dir, name))
	}
	if err != nil {
		os.RemoveAll(tmp)
		return Info{}, fmt.Errorf("write checkpoint %s: %w", name, err)
	}
	info.Name, info.Path = name, filepath.Join(dir, name)
	return info, nil
}

// fill writes all files and the manifest into folder tmp and syncs them.
func fill(tmp string, c Content) (Info, error) {
	m := Manifest{Version: Version, Epoch: c.Epoch, GlobalStep: c.GlobalStep, Complete: c.Complete,
		Metrics: Finite(c.Metrics), Files: map[string]File{}}
	for name, write := range c.Files {
		f, err := writeFile(filepath.Join(tmp, name), write)
		if err != nil {
			return Info{}, err
		}
		m.Files[name] = f
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Info{}, err
	}
	text = append(text, '\n')
	if _, err := writeFile(filepath.Join(tmp, ManifestName), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}); err != nil {
		return Info{}, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Info{}, err
	}
	sum := sha256.Sum256(text)
	return Info{Manifest: m, SHA256: hex.EncodeToString(sum[:])}, disk.SyncDir(tmp)
}

func writeFile(path string, write func(io.Writer) error) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return File{}, err
	}
	h, n := sha256.New(), new(counter)
	err = write(io.MultiWriter(f, h, n))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return File{}, err
	}
	return File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: int64(*n)}, nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// publish gives the finished folder its name.
func publish(tmp, path string) error {
	if _, err := os.Lstat(path); err == nil {
		if err := discard(path); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// discard removes a checkpoint so that a crash never leaves half of it visible.
func discard(path string) error {
	old := filepath.Join(filepath.Dir(path), ".old-"+filepath.Base(path))
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(path, old); err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// Link makes dir/link (latest, best) point to the checkpoint dir/name.
func Link(dir, link, name string) error {
	tmp := filepath.Join(dir, ".tmp-link-"+link)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("link checkpoint %s: %w", link, err)
	}
	if err := os.Symlink(name, tmp); err != nil {
		return fmt.Errorf("link checkpoint %s: %w", link, err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, link)); err != nil {
		return fmt.Errorf("link checkpoint %s: %w", link, err)
	}
	return disk.SyncDir(dir)
}

// Sweep removes what writers that were killed left in dir. Only the one writer
// of dir may call it.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep checkpoints: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") || strings.HasPrefix(e.Name(), ".old-") {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("sweep checkpoints: %w", err)
			}
		}
	}
	return nil
}

// Finite returns the entries that JSON can hold.
func Finite(values map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(values))
	for k, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[k] = v
		}
	}
	return out
}
