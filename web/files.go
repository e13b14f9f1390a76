package web

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

type checkpointsOutput struct{ Body CheckpointList }

// CheckpointList is a run's saved states, in the order of training.
type CheckpointList struct {
	RunID       string       `json:"run_id"`
	Checkpoints []Checkpoint `json:"checkpoints" nullable:"false"`
}

// Checkpoint is what was announced of a saved state; retention may have
// removed its files since.
type Checkpoint struct {
	RunID      string            `json:"run_id"`
	Name       string            `json:"name" doc:"epoch_N, latest or best"`
	Path       string            `json:"path" doc:"on the machine that trained"`
	SHA256     string            `json:"sha256"`
	Size       int64             `json:"size,omitempty" doc:"bytes"`
	Epoch      int               `json:"epoch" doc:"epochs completed"`
	GlobalStep int64             `json:"global_step" doc:"optimizer updates done"`
	Metrics    map[string]Number `json:"metrics,omitempty"`
}

func (s *Server) checkpoints(ctx context.Context, in *RunPath) (*checkpointsOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	saved, err := s.cfg.Store.Checkpoints(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	out := CheckpointList{RunID: run.ID, Checkpoints: []Checkpoint{}}
	for _, c := range saved {
		out.Checkpoints = append(out.Checkpoints, Checkpoint{
			RunID: c.RunID, Name: c.Name, Path: c.Path, SHA256: c.SHA256, Size: c.Size,
			Epoch: c.Epoch, GlobalStep: c.GlobalStep, Metrics: numbers(c.Metrics),
		})
	}
	return &checkpointsOutput{Body: out}, nil
}

type artifactsOutput struct{ Body ArtifactList }

// ArtifactList is the files that a run made for its users, by name.
type ArtifactList struct {
	RunID     string               `json:"run_id"`
	Artifacts []pipelines.Artifact `json:"artifacts" nullable:"false"`
}

func (s *Server) artifacts(ctx context.Context, in *RunPath) (*artifactsOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	files, err := s.cfg.Store.Artifacts(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	return &artifactsOutput{Body: ArtifactList{RunID: run.ID, Artifacts: append([]pipelines.Artifact{}, files...)}}, nil
}
