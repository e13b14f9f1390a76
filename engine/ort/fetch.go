package ort

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// Fetch obtains the pinned library through pip into the user cache, unless
// Find finds one, and returns its path. The wheel's SHA-256 is checked before
// anything is taken from it, and the files appear all at once.
func Fetch(ctx context.Context) (string, error) {
	if found, err := Find(); err == nil {
		return found, nil
	} else if os.Getenv(EnvLib) != "" {
		return "", err
	}
	w, ok := thisWheel()
	if !ok {
		return "", fmt.Errorf("no ONNX Runtime package is known for %s/%s; set %s to the path of libonnxruntime %s",
			runtime.GOOS, runtime.GOARCH, EnvLib, Version)
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".fetch-")
	if err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime: %w", err)
	}
	defer os.RemoveAll(tmp)
	whl, err := download(ctx, w, tmp)
	if err != nil {
		return "", err
	}
	return install(w, whl, tmp, dir)
}

// download runs pip and returns the wheel's path.
func download(ctx context.Context, w wheel, dir string) (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime %s: python3 is not installed; install python3 with pip, or set %s to the path of libonnxruntime", Version, EnvLib)
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet",
		"--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--platform", w.platform,
		"--dest", dir, "onnxruntime=="+Version)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetch ONNX Runtime: %w", ctx.Err())
		}
		text := strings.TrimSpace(stderr.String())
		if strings.Contains(text, "No module named pip") {
			return "", fmt.Errorf("fetch ONNX Runtime %s: python3 has no pip; install it (package python3-pip), or set %s to the path of libonnxruntime", Version, EnvLib)
		}
		return "", fmt.Errorf("fetch ONNX Runtime %s: pip download failed: %w: %s; check pip's access to its index, or set %s to the path of libonnxruntime",
			Version, err, lastLine(text), EnvLib)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("fetch ONNX Runtime %s: pip left %d wheels in %s, want 1", Version, len(found), dir)
	}
	return found[0], nil
}

// install verifies the wheel, unpacks what is needed below tmp and renames it to dir.
func install(w wheel, whl, tmp, dir string) (string, error) {
	sum, _, err := disk.SHA256(whl)
	if err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime: %w", err)
	}
	if sum != w.sha256 {
		return "", fmt.Errorf("fetch ONNX Runtime: %s has SHA-256 %s, want %s; nothing was installed: the download is damaged or is not the published package",
			filepath.Base(whl), sum, w.sha256)
	}
	out := filepath.Join(tmp, "lib")
	if err := os.Mkdir(out, 0o755); err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime: %w", err)
	}
	if err := unpack(whl, w.files, out); err != nil {
		return "", fmt.Errorf("fetch ONNX Runtime: %w", err)
	}
	library := filepath.Join(dir, w.library)
	if err := os.Rename(out, dir); err != nil {
		if _, stat := os.Stat(library); stat == nil {
			return library, nil // somebody else was faster
		}
		return "", fmt.Errorf("fetch ONNX Runtime: %w; if %s is left over from elsewhere, remove it", err, dir)
	}
	return library, nil
}

// unpack copies the named files of onnxruntime/capi/ out of a wheel.
func unpack(whl string, files []string, dir string) error {
	z, err := zip.OpenReader(whl)
	if err != nil {
		return fmt.Errorf("open %s: %w", whl, err)
	}
	defer z.Close()
	for _, name := range files {
		src, err := z.Open(path.Join("onnxruntime/capi", name))
		if err != nil {
			return fmt.Errorf("%s holds no %s: %w", filepath.Base(whl), name, err)
		}
		err = copyTo(filepath.Join(dir, name), src)
		if err := errors.Join(err, src.Close()); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return nil
}

func copyTo(path string, src io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, src)
	return errors.Join(err, f.Sync(), f.Close())
}

func lastLine(text string) string {
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		return text[i+1:]
	}
	return text
}
