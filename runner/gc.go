package runner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Garbage is a run whose files nobody needs any more.
type Garbage struct {
	RunID    string            `json:"run_id"`
	Pipeline string            `json:"pipeline"`
	Address  pipelines.Address `json:"address,omitempty"` // "" = of no run that the state knows
	Dir      string            `json:"dir"`
	Bytes    int64             `json:"bytes"`
	Archived bool              `json:"archived,omitempty"` // in the archive, not here
	Reason   string            `json:"reason"`
}

// GCOptions say what is kept.
type GCOptions struct {
	Keep    int  // completed runs of each step; 0 = 1
	Archive bool // look into the archive too
}

// orphanAge is how old a folder without a run must be: a younger one may be
// about to be filed.
const orphanAge = 24 * time.Hour

// Garbage lists the run folders of a pipeline that can go: those of all but the
// newest completed runs of each step, and those that the state knows nothing
// of. What is at work, what can be gone on with and what came after the newest
// completed run stays. What the state remembers of a run (metrics, results)
// stays in any case.
func (a *Applier) Garbage(ctx context.Context, pipeline string, opts GCOptions) ([]Garbage, error) {
	runs, err := a.allRuns(ctx, pipeline)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	completed := map[pipelines.Address]int{}
	var out []Garbage
	gone := map[string]bool{}
	for _, r := range runs { // newest first
		known[r.ID] = true
		done := completed[r.Address]
		if r.Status == pipelines.StatusCompleted {
			completed[r.Address]++
		}
		if done < max(opts.Keep, 1) || !r.Status.Ended() {
			continue
		}
		gone[r.ID] = true
		if exists(r.Dir) {
			out = append(out, Garbage{RunID: r.ID, Pipeline: pipeline, Address: r.Address, Dir: r.Dir, Bytes: Size(r.Dir), Reason: "a newer run of the step completed"})
		}
	}
	if opts.Archive && a.Archive != nil {
		found, err := a.Archive.garbage(ctx, pipeline, gone)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return a.orphans(ctx, known, out)
}

func (a *Applier) allRuns(ctx context.Context, pipeline string) ([]pipelines.Run, error) {
	var out []pipelines.Run
	for {
		page, err := a.Store.Runs(ctx, RunFilter{Pipeline: pipeline, Limit: 1000, Offset: len(out)})
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if len(page) < 1000 {
			return out, nil
		}
	}
}

// orphans adds the run folders of the state that belong to no run of any pipeline.
func (a *Applier) orphans(ctx context.Context, known map[string]bool, out []Garbage) ([]Garbage, error) {
	entries, err := os.ReadDir(filepath.Join(a.Dir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || known[e.Name()] || a.now().Sub(info.ModTime()) < orphanAge {
			continue
		}
		if _, err := a.Store.Run(ctx, e.Name()); pipelines.CodeOf(err) != pipelines.CodeNotFound {
			continue // another pipeline's, or it cannot be told
		}
		dir := filepath.Join(a.Dir, "runs", e.Name())
		out = append(out, Garbage{RunID: e.Name(), Dir: dir, Bytes: Size(dir), Reason: "the state knows no such run"})
	}
	return out, nil
}

// Collect removes what Garbage listed. The caller holds nothing: a run at work
// is never among it.
func (a *Applier) Collect(ctx context.Context, found []Garbage) error {
	for _, g := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if g.Archived {
			if err := a.Archive.forget(ctx, g.Pipeline, g.RunID); err != nil {
				return err
			}
			continue
		}
		if err := os.RemoveAll(g.Dir); err != nil {
			return err
		}
	}
	return nil
}

// garbage lists the archived runs that are gone here, or that a push left
// without a record.
func (a *Archive) garbage(ctx context.Context, pipeline string, gone map[string]bool) ([]Garbage, error) {
	marks, err := a.Blobs.List(ctx, pipelineKey(pipeline))
	if err != nil {
		return nil, err
	}
	var out []Garbage
	for _, m := range marks {
		id := m.Key[len(pipelineKey(pipeline)):]
		if !gone[id] {
			continue
		}
		objects, err := a.Blobs.List(ctx, runKey(id)+"/")
		if err != nil {
			return nil, err
		}
		g := Garbage{RunID: id, Pipeline: pipeline, Dir: a.Blobs.URL(runKey(id)), Archived: true, Reason: "a newer run of the step completed"}
		for _, o := range objects {
			g.Bytes += o.Size
		}
		out = append(out, g)
	}
	return out, nil
}

// forget removes a run from the archive: its mark last, so that a forgetting
// that was cut short is done again.
func (a *Archive) forget(ctx context.Context, pipeline, runID string) error {
	objects, err := a.Blobs.List(ctx, runKey(runID)+"/")
	if err != nil {
		return err
	}
	keys := make([]string, len(objects))
	for i, o := range objects {
		keys[i] = o.Key
	}
	if err := a.Blobs.Delete(ctx, keys...); err != nil {
		return err
	}
	return a.Blobs.Delete(ctx, pipelineKey(pipeline)+runID)
}

// Size is the bytes of all files below a folder, as far as they can be read.
func Size(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what vanishes meanwhile needs no counting
		}
		if info, err := d.Info(); err == nil && d.Type().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
