package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
)

// WriteTask writes task.json into the task's attempt folder, which it makes,
// and returns its path. Writing is atomic and durable.
func WriteTask(task pipelines.Task) (string, error) {
	if err := os.MkdirAll(task.AttemptDir, 0o755); err != nil {
		return "", fmt.Errorf("make attempt folder: %w", err)
	}
	b, err := json.MarshalIndent(task, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode task of %s: %w", task.Address, err)
	}
	path := filepath.Join(task.AttemptDir, TaskFile)
	if err := WriteFile(path, append(b, '\n')); err != nil {
		return "", fmt.Errorf("write task of %s: %w", task.Address, err)
	}
	return path, nil
}

// ReadTask reads a task.json and refuses one of a newer version.
func ReadTask(path string) (pipelines.Task, error) {
	var task pipelines.Task
	b, err := os.ReadFile(path)
	if err != nil {
		return task, fmt.Errorf("read task: %w", err)
	}
	if err := json.Unmarshal(b, &task); err != nil {
		return task, fmt.Errorf("read task %s: %w", path, err)
	}
	if task.Version < 1 || task.Version > pipelines.TaskVersion {
		return task, pipelines.Errorf(pipelines.CodeInvalid,
			"%s has version %d, this runner reads versions 1 to %d; use the runner that wrote it", path, task.Version, pipelines.TaskVersion)
	}
	return task, nil
}

// WriteFile writes a file so that after a crash there is the old content or
// the new: temporary name, sync, rename, sync of the folder.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}
