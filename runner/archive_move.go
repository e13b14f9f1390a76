package runner

import (
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// rebase moves a path from one folder to another; one outside stays.
func rebase(path, from, to string) string {
	if rest, ok := strings.CutPrefix(path, from); ok && from != "" && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		return to + rest
	}
	return path
}

func moveCheckpoint(c *pipelines.Checkpoint, from, to string) *pipelines.Checkpoint {
	if c == nil {
		return nil
	}
	moved := *c
	moved.Path = rebase(c.Path, from, to)
	return &moved
}

// moveRun makes the paths of a run fit another folder.
func moveRun(r pipelines.Run, from, to string) pipelines.Run {
	r.Dir = to
	if r.Result == nil {
		return r
	}
	result := *r.Result
	result.Best, result.Latest = moveCheckpoint(result.Best, from, to), moveCheckpoint(result.Latest, from, to)
	artifacts := make(map[string]pipelines.Artifact, len(result.Artifacts))
	for name, a := range result.Artifacts {
		a.Path = rebase(a.Path, from, to)
		artifacts[name] = a
	}
	result.Artifacts = artifacts
	r.Result = &result
	return r
}

// moveEvent makes the paths of an event fit another folder.
func moveEvent(e pipelines.Event, from, to string) pipelines.Event {
	switch {
	case e.Checkpoint != nil:
		e.Checkpoint = moveCheckpoint(e.Checkpoint, from, to)
	case e.Resumed != nil:
		r := *e.Resumed
		r.Checkpoint = rebase(r.Checkpoint, from, to)
		e.Resumed = &r
	case e.Validation != nil:
		v := *e.Validation
		v.CheckpointPath = rebase(v.CheckpointPath, from, to)
		e.Validation = &v
	case e.Result != nil:
		r := *e.Result
		r.Best, r.Latest = moveCheckpoint(r.Best, from, to), moveCheckpoint(r.Latest, from, to)
		artifacts := make([]pipelines.Artifact, len(r.Artifacts))
		for i, a := range r.Artifacts {
			a.Path = rebase(a.Path, from, to)
			artifacts[i] = a
		}
		r.Artifacts = artifacts
		e.Result = &r
	}
	return e
}
