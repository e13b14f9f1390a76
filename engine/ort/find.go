package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// EnvLib is the environment variable that names the library's file.
const EnvLib = "RUNNER_ORT_LIB"

// ErrNotFound means that no ONNX Runtime library was found on this machine.
var ErrNotFound = errors.New("ONNX Runtime not found")

// Find returns the path of the library: the file that RUNNER_ORT_LIB names,
// else the one that Fetch put into the user cache. It loads nothing.
func Find() (string, error) {
	if path := os.Getenv(EnvLib); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %s points to a file that cannot be read: %w", ErrNotFound, EnvLib, err)
		}
		return path, nil
	}
	w, ok := thisWheel()
	if !ok {
		return "", fmt.Errorf("%w: no published library is known for %s/%s; set %s to the path of libonnxruntime %s",
			ErrNotFound, runtime.GOOS, runtime.GOARCH, EnvLib, Version)
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, w.library)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %s is not there; run `runner init` (or `make ort`) to obtain it, or set %s to the path of libonnxruntime %s",
			ErrNotFound, path, EnvLib, Version)
	}
	return path, nil
}

// CacheDir returns the folder in the user's cache that holds Version.
func CacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: no user cache folder: %w; set %s", ErrNotFound, err, EnvLib)
	}
	return filepath.Join(cache, "trainwright", "onnxruntime", Version), nil
}
