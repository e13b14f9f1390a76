package python

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	platformsdk "github.com/trainwright/trainwright/sdk/python"
)

// SDK puts platform_sdk on disk, if it is not there, and returns the folder
// to import it from.
func (h Host) SDK() (string, error) {
	dir := h.dir("sdk-" + sdkHash())
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("put the Python SDK into the cache: %w", err)
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".sdk-*")
	if err != nil {
		return "", fmt.Errorf("put the Python SDK into the cache: %w", err)
	}
	defer os.RemoveAll(temporary)
	if err := os.CopyFS(temporary, platformsdk.Files); err != nil {
		return "", fmt.Errorf("put the Python SDK into the cache: %w", err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", err
	}
	err = os.Rename(temporary, dir)
	if _, there := os.Stat(dir); err != nil && (errors.Is(err, fs.ErrExist) || there == nil) {
		err = nil // another process was faster
	}
	return dir, err
}

// sdkHash identifies the SDK that this program carries.
var sdkHash = sync.OnceValue(func() string {
	h := sha256.New()
	_ = fs.WalkDir(platformsdk.Files, ".", func(path string, d fs.DirEntry, err error) error { // it is in memory
		if err != nil || d.IsDir() {
			return err
		}
		text, err := platformsdk.Files.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n", path, len(text))
		h.Write(text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12]
})
