package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// Archive keeps what runs leave in a store of blobs, so that another machine
// can reuse them and go on with them. Below the store's prefix lie
//
//	pipelines/NAME/RUN        a mark: the pipeline has this run
//	runs/RUN/run.json         the record, written last: what it lists is whole
//	runs/RUN/alive.json       who works on the run, renewed while it lives
//	runs/RUN/objects/SHA256   files of checkpoints and attempts, by content
//	runs/RUN/artifacts/NAME   artifacts of a completed run, by name
type Archive struct {
	Blobs Blobs
	// Lease is how long after its last sign of life a run counts as at work
	// elsewhere; 0 = 2 minutes.
	Lease time.Duration
	// Now is the clock; nil = time.Now.
	Now func() time.Time

	mu      sync.Mutex
	records map[string]archived // runs whose files are not all here, by id
}

// archived is the record of a run. Paths in Files and Links are relative to the
// run's folder and slash-separated; those in Run and Attempts are as on the
// machine that wrote it.
type archived struct {
	Version  int                 `json:"v"`
	Run      pipelines.Run       `json:"run"`
	Attempts []pipelines.Attempt `json:"attempts"`
	Files    []archivedFile      `json:"files"`
	Links    map[string]string   `json:"links,omitempty"` // checkpoints/latest -> epoch_3
	Host     string              `json:"host"`
	Written  time.Time           `json:"written"`
}

// archivedFile is a file of a run: the concatenation of its parts.
type archivedFile struct {
	Path  string         `json:"path"`
	Parts []archivedPart `json:"parts"`
	// Elsewhere: the machine that goes on with the run never had it, and
	// leaves it as it is.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

type archivedPart struct {
	Key    string `json:"key"` // below runs/RUN/
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

const archiveVersion = 1

func (a *Archive) now() time.Time {
	if a.Now != nil {
		return a.Now().UTC()
	}
	return time.Now().UTC()
}

func (a *Archive) lease() time.Duration { return orElse(a.Lease, 2*time.Minute) }

func runKey(runID string, parts ...string) string {
	return strings.Join(append([]string{"runs", runID}, parts...), "/")
}

func pipelineKey(pipeline string) string { return "pipelines/" + url.PathEscape(pipeline) + "/" }

// Sync files the pipeline's archived runs in the store, as if they had been
// made here: their files follow when they are needed (restore). dir is the
// state folder, below which their folders will lie. It returns how many runs
// were new. A run that is at work elsewhere is an error of code locked.
func (a *Archive) Sync(ctx context.Context, store Store, pipeline, dir string) (int, error) {
	marks, err := a.Blobs.List(ctx, pipelineKey(pipeline))
	if err != nil {
		return 0, err
	}
	slices.Reverse(marks) // newest first: ids begin with the time
	if len(marks) > 200 {
		marks = marks[:200]
	}
	added := 0
	for _, m := range slices.Backward(marks) {
		id := m.Key[strings.LastIndexByte(m.Key, '/')+1:]
		known, err := store.Run(ctx, id)
		switch {
		case err == nil && known.Status == pipelines.StatusCompleted && exists(known.Dir):
			continue // its files are here, and so is what happened to it
		case err != nil && pipelines.CodeOf(err) != pipelines.CodeNotFound:
			return added, err
		}
		rec, err := a.record(ctx, id)
		if pipelines.CodeOf(err) == pipelines.CodeNotFound {
			continue // it died before its first record
		}
		if err != nil {
			return added, err
		}
		isNew := known.ID == ""
		if !isNew && exists(known.Dir) {
			if !ahead(rec, known) {
				continue
			}
			if err := idle(known); err != nil {
				return added, err
			}
		}
		if err := a.take(ctx, store, rec, known, dir); err != nil {
			return added, err
		}
		if isNew {
			added++
		}
	}
	return added, nil
}

// ahead reports that somebody went on with a run since it was worked on here.
func ahead(rec archived, known pipelines.Run) bool {
	return rec.Run.Attempts > known.Attempts || rec.Run.Status == pipelines.StatusCompleted
}

// idle reports nil when no attempt of a run lives on this machine.
func idle(run pipelines.Run) error {
	held, err := spool.Held(attemptDir(run.Dir, run.Attempts))
	if err == nil && held {
		err = pipelines.Errorf(pipelines.CodeConflict, "run %s of %s is still at work here (attempt %d), and another machine went on with it. Cancel one of them: here with runner cancel %s",
			run.ID, run.Address, run.Attempts, run.ID)
	}
	return err
}

// take files one archived run in the store.
func (a *Archive) take(ctx context.Context, store Store, rec archived, known pipelines.Run, dir string) error {
	open := slices.ContainsFunc(rec.Attempts, func(at pipelines.Attempt) bool { return !at.Status.Ended() })
	if open {
		if err := a.abandoned(ctx, rec.Run); err != nil {
			return err
		}
	}
	from, to := rec.Run.Dir, known.Dir
	if to == "" {
		abs, err := filepath.Abs(filepath.Join(dir, "runs", rec.Run.ID))
		if err != nil {
			return err
		}
		to = abs
	}
	a.mu.Lock()
	if a.records == nil {
		a.records = map[string]archived{}
	}
	a.records[rec.Run.ID] = rec
	a.mu.Unlock()
	run := moveRun(rec.Run, from, to)
	if known.ID == "" { // pending until all of it is filed
		begun := run
		begun.Status, begun.Result = pipelines.StatusPending, nil
		filed, err := store.CreateRun(ctx, begun)
		if err != nil {
			return fmt.Errorf("file archived run %s: %w", run.ID, err)
		}
		known = filed
	}
	if known.Status != pipelines.StatusCompleted && (!known.Status.Ended() || ahead(rec, known)) {
		if err := a.takeAttempts(ctx, store, rec, from, to); err != nil {
			return fmt.Errorf("file archived run %s: %w", run.ID, err)
		}
	}
	run.JobID = known.JobID
	if !run.Status.Ended() {
		run.Status, run.Cause, run.Error, run.Ended = pipelines.StatusFailed, pipelines.CauseInfrastructure, "its machine is gone", rec.Written
	}
	if err := a.closeAttempts(ctx, store, rec, to); err != nil {
		return err
	}
	return store.UpdateRun(ctx, run)
}

// takeAttempts files the attempts of an archived run and their events.
func (a *Archive) takeAttempts(ctx context.Context, store Store, rec archived, from, to string) error {
	filed, err := store.Attempts(ctx, rec.Run.ID)
	if err != nil {
		return err
	}
	for _, at := range rec.Attempts {
		at.Dir = rebase(at.Dir, from, to)
		save := store.CreateAttempt
		if slices.ContainsFunc(filed, func(f pipelines.Attempt) bool { return f.Number == at.Number }) {
			save = store.UpdateAttempt // how it ended may not be known here
		}
		if err := save(ctx, at); err != nil {
			return err
		}
	}
	for _, at := range rec.Attempts {
		i := slices.IndexFunc(rec.Files, func(f archivedFile) bool { return f.Path == spoolPath(at.Number) })
		if i < 0 {
			continue
		}
		if err := a.takeEvents(ctx, store, rec, rec.Files[i], from, to); err != nil {
			return err
		}
	}
	return nil
}

// closeAttempts ends what was open on a machine that is gone.
func (a *Archive) closeAttempts(ctx context.Context, store Store, rec archived, to string) error {
	attempts, err := store.Attempts(ctx, rec.Run.ID)
	if err != nil {
		return err
	}
	for _, at := range attempts {
		if at.Status.Ended() {
			continue
		}
		at.Status, at.Cause, at.Error, at.Ended = pipelines.StatusFailed, pipelines.CauseInfrastructure, "its machine is gone", rec.Written
		at.Dir = attemptDir(to, at.Number)
		if err := store.UpdateAttempt(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// abandoned reports nil when nobody works on a run any more.
func (a *Archive) abandoned(ctx context.Context, run pipelines.Run) error {
	var h LockHolder
	err := a.readJSON(ctx, runKey(run.ID, "alive.json"), &h)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	left := a.lease() - a.now().Sub(h.Created)
	if left <= 0 || HolderGone(h) {
		return nil
	}
	return pipelines.Errorf(pipelines.CodeLocked, "run %s of %s is at work on host %s (process %d, last sign of life %s ago). "+
		"Wait for it, or cancel it there; if that machine is gone, its hold ends in %s",
		run.ID, run.Address, h.Host, h.PID, a.now().Sub(h.Created).Round(time.Second), left.Round(time.Second))
}

// record reads the record of a run.
func (a *Archive) record(ctx context.Context, runID string) (archived, error) {
	var rec archived
	if err := a.readJSON(ctx, runKey(runID, "run.json"), &rec); err != nil {
		return rec, err
	}
	if rec.Version != archiveVersion {
		return rec, pipelines.Errorf(pipelines.CodeUnavailable, "the archived run %s has version %d of the record, and this program knows %d; use a newer release", runID, rec.Version, archiveVersion)
	}
	return rec, nil
}

// archived returns what is known of a run whose files are not all here.
func (a *Archive) archived(runID string) (archived, bool) {
	if a == nil {
		return archived{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	rec, ok := a.records[runID]
	return rec, ok
}

// has reports whether restore can bring a path of the run back.
func (a *Archive) has(runID, runDir, path string) bool {
	rec, ok := a.archived(runID)
	if !ok {
		return false
	}
	rel, err := filepath.Rel(runDir, path)
	if err != nil {
		return false
	}
	rel = rec.resolve(filepath.ToSlash(rel))
	return slices.ContainsFunc(rec.Files, func(f archivedFile) bool { return under([]string{rel}, f.Path) })
}

// resolve follows a link: checkpoints/best -> checkpoints/epoch_3.
func (rec archived) resolve(rel string) string {
	for link, name := range rec.Links {
		if rel == link || strings.HasPrefix(rel, link+"/") {
			return link[:strings.LastIndexByte(link, '/')+1] + name + rel[len(link):]
		}
	}
	return rel
}

func (a *Archive) readJSON(ctx context.Context, key string, into any) error {
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "x")
	if err := a.Blobs.Get(ctx, key, file); err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return pipelines.Errorf(pipelines.CodeInternal, "%s is damaged: %w", a.Blobs.URL(key), err)
	}
	return nil
}

func (a *Archive) writeJSON(ctx context.Context, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return a.writeBytes(ctx, key, data)
}

func (a *Archive) writeBytes(ctx context.Context, key string, data []byte) error {
	f, err := os.CreateTemp("", "archive")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return a.Blobs.Put(ctx, key, f.Name())
}
