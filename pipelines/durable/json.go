package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// WriteJSON writes v as one line of JSON, as WriteFile does, with mode.
func WriteJSON(path string, v any, mode os.FileMode) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = WriteFile(path, append(b, '\n'), mode)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// ReadJSON reads what WriteJSON wrote. A file that is not there is no error,
// and ok is false.
func ReadJSON(path string, v any) (ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}
