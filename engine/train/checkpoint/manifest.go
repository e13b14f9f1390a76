package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// ManifestName is the file that lists the others.
const ManifestName = "manifest.json"

// Version is the layout version written by this release.
const Version = 1

// ErrDamaged is wrapped by errors about a checkpoint whose files do not fit its manifest.
var ErrDamaged = errors.New("damaged checkpoint")

// Manifest describes a checkpoint and its files.
type Manifest struct {
	Version    int                `json:"v"`
	Epoch      int                `json:"epoch"`       // epochs completed, counted from 1
	GlobalStep int64              `json:"global_step"` // optimizer updates done
	Complete   bool               `json:"complete"`    // stands at the end of an epoch
	Metrics    map[string]float64 `json:"metrics,omitempty"`
	Files      map[string]File    `json:"files"`
}

// File is one file of a checkpoint.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Info is a checkpoint on disk.
type Info struct {
	Manifest
	Name   string // epoch_3
	Path   string
	SHA256 string // of the manifest file, which covers all others
}

// Size returns the bytes of all files that the manifest lists.
func (m Manifest) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Open reads the manifest of the checkpoint at path, which may be a link, and
// verifies every file against it.
func Open(path string) (Info, error) {
	info, err := read(path)
	if err != nil {
		return Info{}, err
	}
	for name, want := range info.Files {
		if err := verify(filepath.Join(info.Path, name), want); err != nil {
			return Info{}, err
		}
	}
	return info, nil
}

// read reads a manifest without verifying the files.
func read(path string) (Info, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Info{}, fmt.Errorf("open checkpoint: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(real, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("%w: %s has no %s", ErrDamaged, path, ManifestName)
	}
	if err != nil {
		return Info{}, fmt.Errorf("open checkpoint: %w", err)
	}
	info := Info{Name: filepath.Base(real), Path: real}
	if err := json.Unmarshal(text, &info.Manifest); err != nil {
		return Info{}, fmt.Errorf("%w: %s: its %s is not readable: %w", ErrDamaged, path, ManifestName, err)
	}
	if info.Version != Version {
		return Info{}, fmt.Errorf("checkpoint %s has version %d, this release reads %d", path, info.Version, Version)
	}
	sum := sha256.Sum256(text)
	info.SHA256 = hex.EncodeToString(sum[:])
	return info, nil
}

func verify(path string, want File) error {
	got, n, err := disk.SHA256(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if n != want.Size || got != want.SHA256 {
		return fmt.Errorf("%w: %s has %d bytes with SHA-256 %.12s…, its manifest says %d with %.12s…", ErrDamaged, path, n, got, want.Size, want.SHA256)
	}
	return nil
}

// List returns the checkpoints in dir by global step, newest first, without
// verifying their files; folders without a readable manifest are left out.
func List(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var list []Info
	for _, e := range entries {
		if !e.IsDir() || e.Name()[0] == '.' {
			continue
		}
		if info, err := read(filepath.Join(dir, e.Name())); err == nil {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b Info) int {
		switch {
		case a.GlobalStep != b.GlobalStep:
			return int(b.GlobalStep - a.GlobalStep)
		case a.Complete != b.Complete && a.Complete: // an epoch's end comes after its last step
			return -1
		case a.Complete != b.Complete:
			return 1
		}
		return b.Epoch - a.Epoch
	})
	return list, nil
}

// Newest returns the newest checkpoint in dir that is whole, and why newer
// ones were passed over. ok is false when there is none.
func Newest(dir string) (info Info, skipped []error, ok bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Info{}, nil, false, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, e := range entries { // folders that List leaves out
		if e.IsDir() && e.Name()[0] != '.' {
			if _, err := read(filepath.Join(dir, e.Name())); err != nil {
				skipped = append(skipped, err)
			}
		}
	}
	list, err := List(dir)
	if err != nil {
		return Info{}, skipped, false, err
	}
	for _, c := range list {
		info, err := Open(c.Path)
		if err == nil {
			return info, skipped, true, nil
		}
		skipped = append(skipped, err)
	}
	return Info{}, skipped, false, nil
}
