package train

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/onnx"
)

// Export writes the deployed form of a checkpoint, in single precision, to the
// file out: through a temporary file in the same folder, synced and renamed.
func Export(checkpoint, out string) (ModelInfo, error) {
	content, err := modelBytes(checkpoint)
	if err != nil {
		return ModelInfo{}, fmt.Errorf("export %s: %w", checkpoint, err)
	}
	model, err := onnx.Unmarshal(content)
	if err != nil {
		return ModelInfo{}, fmt.Errorf("export %s: %w", checkpoint, err)
	}
	info, err := readInfo(model)
	if err != nil {
		return ModelInfo{}, fmt.Errorf("export %s: %w", checkpoint, err)
	}
	if err := writeAtomic(out, content); err != nil {
		return ModelInfo{}, fmt.Errorf("export %s: %w", checkpoint, err)
	}
	return info, nil
}

func writeAtomic(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, bytes.NewReader(content))
	for _, step := range []func() error{func() error { return f.Chmod(0o644) }, f.Sync, f.Close} {
		if e := step(); err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
