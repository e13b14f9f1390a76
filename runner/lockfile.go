package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/pipelines/durable"
)

// LockFileName is the committed file that pins what a pipeline was run with.
const LockFileName = ".runner.lock.hcl"

// LockFile pins adapters by version, weights, datasets and images by hash.
type LockFile struct {
	Adapters map[string]AdapterPin
	Datasets map[string]string // name -> fingerprint
	Weights  map[string]string // path relative to the pipeline, or "ADAPTER:MODEL" of pretrained ones -> "sha256:…"
	Images   map[string]string // container image as written -> its reference with the digest
}

// AdapterPin is an adapter as it was used last.
type AdapterPin struct {
	Version  string
	Numerics int
	Lock     string // requirements hash
}

// ReadLockFile reads a pipeline's lock file and hashes it. Without one it is
// empty and so is the hash.
func ReadLockFile(dir string) (LockFile, string, error) {
	path := filepath.Join(dir, LockFileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return LockFile{}, "", nil
	}
	if err != nil {
		return LockFile{}, "", err
	}
	lock, err := parseLockFile(path, text)
	sum := sha256.Sum256(text)
	return lock, "sha256:" + hex.EncodeToString(sum[:]), err
}

// Format writes the lock file's text, sorted, so that merges stay small.
func (l LockFile) Format() []byte {
	var b bytes.Buffer
	b.WriteString("# What this pipeline was run with. Written by runner; commit it.\n")
	for _, name := range slices.Sorted(maps.Keys(l.Adapters)) {
		a := l.Adapters[name]
		fmt.Fprintf(&b, "\nadapter %s {\n  version  = %s\n  numerics = %d\n", quote(name), quote(a.Version), a.Numerics)
		if a.Lock != "" {
			fmt.Fprintf(&b, "  lock     = %s\n", quote(a.Lock))
		}
		b.WriteString("}\n")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Datasets)) {
		fmt.Fprintf(&b, "\ndataset %s {\n  fingerprint = %s\n}\n", quote(name), quote(l.Datasets[name]))
	}
	for _, path := range slices.Sorted(maps.Keys(l.Weights)) {
		fmt.Fprintf(&b, "\nweights %s {\n  sha256 = %s\n}\n", quote(path), quote(l.Weights[path]))
	}
	for _, ref := range slices.Sorted(maps.Keys(l.Images)) {
		fmt.Fprintf(&b, "\nimage %s {\n  pinned = %s\n}\n", quote(ref), quote(l.Images[ref]))
	}
	return b.Bytes()
}

// pinsOf collects what decided steps use.
func pinsOf(decisions []decision, dir string, h *hasher) LockFile {
	lock := newLockFile()
	for _, d := range decisions {
		maps.Copy(lock.Images, d.images)
		if d.adapter != nil {
			i := d.adapter.Info()
			lock.Adapters[i.Name] = AdapterPin{Version: i.Version, Numerics: i.Numerics, Lock: i.Lock}
		}
		if d.report != nil && d.spec.Dataset != nil {
			lock.Datasets[d.spec.Dataset.Name] = d.report.Fingerprint
		}
		if m := d.spec.Model; m != nil && m.Pretrained && d.pretrained != "" {
			lock.Weights[pretrainedPin(d.step.Adapter, m.Name)] = d.pretrained
		}
		if m := d.spec.Model; m != nil && m.Weights != nil && m.Weights.Path != "" {
			if sum, err := h.Path(m.Weights.Path); err == nil {
				lock.Weights[relative(dir, m.Weights.Path)] = sum
			}
		}
	}
	return lock
}

func newLockFile() LockFile {
	return LockFile{Adapters: map[string]AdapterPin{}, Datasets: map[string]string{}, Weights: map[string]string{}, Images: map[string]string{}}
}

// pretrainedPin names the pretrained weights of an adapter's model.
func pretrainedPin(adapter, model string) string { return adapter + ":" + model }

// merge returns l with other's pins over its own.
func (l LockFile) merge(other LockFile) LockFile {
	out := newLockFile()
	for _, src := range []LockFile{l, other} {
		maps.Copy(out.Adapters, src.Adapters)
		maps.Copy(out.Datasets, src.Datasets)
		maps.Copy(out.Weights, src.Weights)
		maps.Copy(out.Images, src.Images)
	}
	return out
}

func relative(dir, path string) string {
	if filepath.IsAbs(path) {
		if r, err := filepath.Rel(dir, path); err == nil {
			return filepath.ToSlash(r)
		}
	}
	return filepath.ToSlash(path)
}

// WriteLockFile writes a pipeline's lock file atomically, unless it says the
// same already.
func WriteLockFile(dir string, lock LockFile) error {
	path := filepath.Join(dir, LockFileName)
	text := lock.Format()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return durable.WriteFile(path, text, 0o644)
}
