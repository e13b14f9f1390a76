package train

import (
	"fmt"
	"io"

	"github.com/trainwright/trainwright/engine/internal/disk"
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
	if err := disk.Write(out, func(w io.Writer) error { _, err := w.Write(content); return err }); err != nil {
		return ModelInfo{}, fmt.Errorf("export %s: %w", checkpoint, err)
	}
	return info, nil
}
