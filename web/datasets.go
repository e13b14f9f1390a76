package web

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

// Datasets are what submitted pipelines may train on.
type Datasets interface {
	// Formats are those that can be read, sorted.
	Formats() []string
	// Find lists folders that look like datasets, by the paths that pipelines write.
	Find(ctx context.Context) []pipelines.DatasetSpec
}

type datasetsOutput struct{ Body DatasetList }

// DatasetList is what a form offers to choose from.
type DatasetList struct {
	Datasets []FoundDataset `json:"datasets" nullable:"false"`
	Formats  []string       `json:"formats" nullable:"false" doc:"that can be read"`
}

// FoundDataset is a folder that looks like a dataset, as a form's dataset writes it.
type FoundDataset struct {
	Path   string     `json:"dataset_path"`
	Format string     `json:"format"`
	Split  *SplitPart `json:"split,omitempty" doc:"where its images are not divided yet"`
}

// SplitPart divides a dataset.
type SplitPart struct {
	Train    float64 `json:"train"`
	Val      float64 `json:"val"`
	Seed     int64   `json:"seed"`
	Stratify bool    `json:"stratify"`
}

func (s *Server) datasets(ctx context.Context, _ *struct{}) (*datasetsOutput, error) {
	out := DatasetList{Datasets: []FoundDataset{}, Formats: []string{}}
	if s.cfg.Datasets == nil {
		return &datasetsOutput{Body: out}, nil
	}
	out.Formats = s.cfg.Datasets.Formats()
	for _, spec := range s.cfg.Datasets.Find(ctx) {
		d := FoundDataset{Path: spec.Path, Format: spec.Format}
		if p := spec.Split; p != nil {
			d.Split = &SplitPart{Train: p.Train, Val: p.Val, Seed: p.Seed, Stratify: p.Stratify}
		}
		out.Datasets = append(out.Datasets, d)
	}
	return &datasetsOutput{Body: out}, nil
}
