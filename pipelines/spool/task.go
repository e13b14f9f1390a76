package spool

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
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
	if err := durable.WriteFile(path, append(b, '\n'), 0o644); err != nil {
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
