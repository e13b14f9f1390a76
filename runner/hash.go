package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// hasher hashes files, each once as long as it stays the same, and folders.
type hasher struct {
	dir  string // that relative paths are resolved against
	mu   sync.Mutex
	seen map[fileState]string
}

// fileState tells a file that was hashed from one that was written since.
type fileState struct {
	path    string
	size    int64
	changed time.Time
}

// Path returns "sha256:…" of a file's content, or of a folder's names and
// contents. A URL is hashed as text: what it answers is pinned by the lock file.
func (h *hasher) Path(path string) (string, error) {
	if path == "" {
		return "", pipelines.Errorf(pipelines.CodeInvalid, "no path is given")
	}
	if strings.Contains(path, "://") {
		sum := sha256.Sum256([]byte(path))
		return "sha256:" + hex.EncodeToString(sum[:]), nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.dir, path)
	}
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return "", pipelines.Errorf(pipelines.CodeNotFound, "there is no file or folder %s", path)
	}
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return hashPath(path)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	state := fileState{path, info.Size(), info.ModTime()}
	if sum, ok := h.seen[state]; ok {
		return sum, nil
	}
	sum, err := hashPath(path)
	if err != nil {
		return "", err
	}
	if h.seen == nil {
		h.seen = map[fileState]string{}
	}
	h.seen[state] = sum
	return sum, nil
}

func hashPath(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if !info.IsDir() {
		if err := copyFile(sum, path); err != nil {
			return "", err
		}
		return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error { // in lexical order
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		one := sha256.New()
		if err := copyFile(one, p); err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%q %x\n", filepath.ToSlash(rel), one.Sum(nil))
		return err
	})
	if err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
