package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// Reads lists the files and folders that a task reads besides its run's own
// folder and its dataset: weights and checkpoints of other runs.
func Reads(t pipelines.Task) []string {
	var paths []string
	if m := t.Model; m != nil {
		if m.Weights != nil {
			paths = append(paths, m.Weights.Path)
			if m.Weights.Checkpoint != nil {
				paths = append(paths, m.Weights.Checkpoint.Path)
			}
		}
		if filepath.IsAbs(m.Name) { // the user's own graph
			paths = append(paths, m.Name)
		}
	}
	if t.Train != nil && t.Train.Start != nil {
		paths = append(paths, t.Train.Start.Checkpoint.Path)
	}
	if t.Evaluate != nil {
		paths = append(paths, t.Evaluate.Checkpoint.Path)
	}
	if t.Export != nil {
		paths = append(paths, t.Export.Checkpoint.Path)
	}
	own := filepath.Join(t.RunDir, "checkpoints")
	var out []string
	for _, p := range paths {
		if p != "" && !strings.Contains(p, "://") && (p == own || !liesIn(p, own)) {
			out = append(out, p)
		}
	}
	return out
}

// DataFolders are the folders that hold a dataset's files, and about how many
// bytes they hold: the sum of at most 1000 files, extended to all.
func DataFolders(d *pipelines.TaskDataset) ([]string, float64, error) {
	var roots []string
	if d.Path != "" && !strings.Contains(d.Path, "://") {
		roots = append(roots, d.Path)
	}
	b, err := os.ReadFile(d.IndexPath)
	if err != nil {
		if os.IsNotExist(err) {
			return roots, 0, nil // an adapter that loads the data itself
		}
		return nil, 0, err
	}
	var index pipelines.DatasetIndex
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", d.IndexPath, err)
	}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(index.Splits)) {
		for _, sample := range index.Splits[name] {
			paths = append(paths, sample.Path)
			if i := slices.IndexFunc(roots, func(r string) bool { return liesIn(sample.Path, r) }); i < 0 {
				roots = append(roots, filepath.Dir(sample.Path))
			}
		}
	}
	every := max(1, len(paths)/1000)
	sum, n := 0.0, 0
	for i := 0; i < len(paths); i += every {
		if info, err := os.Stat(paths[i]); err == nil {
			sum, n = sum+float64(info.Size()), n+1
		}
	}
	if n > 0 {
		sum *= float64(len(paths)) / float64(n)
	}
	return outermost(roots), sum, nil
}

// outermost leaves out folders that lie in others.
func outermost(roots []string) []string {
	var out []string
	for i, r := range roots {
		if !slices.ContainsFunc(roots, func(o string) bool { return o != r && liesIn(r, o) }) && !slices.Contains(roots[:i], r) {
			out = append(out, r)
		}
	}
	return out
}

func liesIn(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
