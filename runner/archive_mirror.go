package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// mirror keeps a run's archive like its folder while the run is worked on. It
// works beside the run and may lag behind: an archive that is away delays no
// training, and what the folder no longer keeps by then is not sent.
type mirror struct {
	archive *Archive
	store   Store
	runID   string
	tell    func(Notice)
	woken   chan struct{}
	stopped chan struct{}
	quit    context.CancelFunc
	rec     archived        // as last written, or as found
	hasher  hasher          // each file once, as long as it stays the same
	seen    map[string]bool // paths that were here at some time
	sent    map[string]bool // keys that the archive has
	said    bool            // that the archive is away
}

// heartbeat is how often a run at work shows that it is.
const heartbeat = 30 * time.Second

// mirror begins to keep a run's archive. A nil Archive gives a nil mirror,
// which does nothing.
func (a *Archive) mirror(ctx context.Context, store Store, runID string, tell func(Notice)) *mirror {
	if a == nil {
		return nil
	}
	ctx, quit := context.WithCancel(context.WithoutCancel(ctx))
	m := &mirror{archive: a, store: store, runID: runID, tell: tell, woken: make(chan struct{}, 1), stopped: make(chan struct{}), quit: quit,
		seen: map[string]bool{}, sent: map[string]bool{}}
	go m.work(ctx)
	m.wake()
	return m
}

// wake says that the run's folder has something new.
func (m *mirror) wake() {
	if m == nil {
		return
	}
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

func (m *mirror) work(ctx context.Context) {
	defer close(m.stopped)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	delay := time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			_ = m.alive(ctx) // the next record tells of errors
			continue
		case <-m.woken:
		}
		if err := m.push(ctx, false); err != nil && ctx.Err() == nil {
			m.warn(err)
			Sleep(ctx, delay)
			delay = min(2*delay, 30*time.Second)
			m.wake()
			continue
		}
		delay = time.Second
	}
}

func (m *mirror) warn(err error) {
	if !m.said {
		m.said = true
		p := warning(pipelines.Range{}, "Archive is behind", "%s. The step goes on; sending is tried again.", err)
		m.tell(Notice{Type: NoticeWarning, Problem: &p})
	}
}

// finish sends what is there at the end of the apply's work on the run. It
// waits as long as the archive is away, until patience or ctx ends: what is
// then missing is sent by the next apply that uses the run.
func (m *mirror) finish(ctx context.Context, patience time.Duration) {
	if m == nil {
		return
	}
	m.quit()
	<-m.stopped
	if ctx.Err() != nil { // cancelled: what can be sent at once
		ctx, patience = context.WithoutCancel(ctx), min(patience, 30*time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for delay := time.Second; ; delay = min(2*delay, 30*time.Second) {
		err := m.push(ctx, true)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			m.warn(err)
		}
		if pipelines.CodeOf(err) == pipelines.CodeConflict || !Sleep(ctx, delay) {
			p := warning(pipelines.Range{}, "Archive is incomplete", "Run %s is complete here in %s and not in %s: %s. Apply again when it can be reached.",
				m.runID, m.rec.Run.Dir, m.archive.Blobs.URL(runKey(m.runID)), err)
			m.tell(Notice{Type: NoticeWarning, Problem: &p})
			return
		}
	}
}

// alive shows that the run is worked on.
func (m *mirror) alive(ctx context.Context) error {
	h := NewHolder("apply")
	h.Created = m.archive.now()
	return m.archive.writeJSON(ctx, runKey(m.runID, "alive.json"), h)
}

// push makes the archive like the folder: first files, then the record that
// lists them, then what it no longer lists goes. last: nobody works on the
// run any more.
func (m *mirror) push(ctx context.Context, last bool) error {
	run, err := m.store.Run(ctx, m.runID)
	if err != nil {
		return err
	}
	attempts, err := m.store.Attempts(ctx, m.runID)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, run); err != nil {
		return err
	}
	if err := m.alive(ctx); err != nil {
		return err
	}
	rec := archived{Version: archiveVersion, Run: run, Attempts: attempts, Host: NewHolder("").Host, Written: m.archive.now()}
	for range 5 {
		rec.Files, rec.Links, err = m.files(ctx, run)
		if !errors.Is(err, fs.ErrNotExist) {
			break // otherwise retention removed a checkpoint meanwhile, or it was replaced
		}
	}
	if err != nil {
		return err
	}
	if err := m.archive.writeJSON(ctx, runKey(m.runID, "run.json"), rec); err != nil {
		return err
	}
	if err := m.archive.writeBytes(ctx, pipelineKey(run.Pipeline)+m.runID, nil); err != nil {
		return err
	}
	m.rec = rec
	return m.sweep(ctx, last)
}

// sweep deletes what the record no longer lists.
func (m *mirror) sweep(ctx context.Context, last bool) error {
	listed := map[string]bool{}
	for _, f := range m.rec.Files {
		for _, p := range f.Parts {
			listed[p.Key] = true
		}
	}
	var gone []string
	for key := range m.sent {
		if !listed[key] {
			gone = append(gone, runKey(m.runID, key))
		}
	}
	if last {
		gone = append(gone, runKey(m.runID, "alive.json"))
	}
	if err := m.archive.Blobs.Delete(ctx, gone...); err != nil {
		return err
	}
	m.sent = listed
	return nil
}

// begin reads what the archive has of the run already. A run that somebody
// else went on with is theirs.
func (m *mirror) begin(ctx context.Context, run pipelines.Run) error {
	rec, err := m.archive.record(ctx, m.runID)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if rec.Run.Attempts > run.Attempts {
		return pipelines.Errorf(pipelines.CodeConflict, "host %s went on with the run (attempt %d, here %d)", rec.Host, rec.Run.Attempts, run.Attempts)
	}
	if m.rec.Version == 0 {
		m.rec = rec
		for _, f := range rec.Files {
			for _, p := range f.Parts {
				m.sent[p.Key] = true
			}
		}
	}
	return nil
}

// files sends what the archive lacks and returns all that it then has.
func (m *mirror) files(ctx context.Context, run pipelines.Run) ([]archivedFile, map[string]string, error) {
	here, links, err := scan(run)
	if err != nil {
		return nil, nil, err
	}
	had := map[string]archivedFile{}
	for _, f := range m.rec.Files {
		had[f.Path] = f
	}
	var out []archivedFile
	for _, rel := range here {
		m.seen[rel] = true
		f := archivedFile{Path: rel}
		if path.Base(rel) == spool.EventsFile {
			f.Parts, err = m.lines(ctx, run, rel, had[rel].Parts)
		} else {
			f.Parts, err = m.whole(ctx, run, rel)
		}
		if err != nil {
			return nil, nil, err
		}
		out = append(out, f)
		delete(had, rel)
	}
	for _, f := range m.rec.Files { // what another machine left and this one never brought back
		if _, rest := had[f.Path]; rest && !m.seen[f.Path] && (f.Elsewhere || m.rec.Run.Dir != run.Dir) {
			f.Elsewhere = true
			out = append(out, f)
		}
	}
	return out, links, nil
}

// scan lists the files of a run's folder that are archived, and the links
// between checkpoints, read before their targets.
func scan(run pipelines.Run) (files []string, links map[string]string, err error) {
	links = map[string]string{}
	patterns := []string{"attempts/*/" + spool.TaskFile, "attempts/*/dataset.json", "attempts/*/" + spool.EventsFile, "report.html"}
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(run.Dir, p))
		if err != nil {
			return nil, nil, err
		}
		files = append(files, found...)
	}
	folders := []string{"checkpoints"}
	if run.Status == pipelines.StatusCompleted {
		folders = append(folders, "artifacts")
	}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(run.Dir, folder), func(p string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case strings.HasPrefix(d.Name(), "."): // being written
				if d.IsDir() {
					return fs.SkipDir
				}
			case d.Type()&fs.ModeSymlink != 0:
				name, err := os.Readlink(p)
				if err == nil && name == filepath.Base(name) {
					rel, _ := filepath.Rel(run.Dir, p) // p lies below
					links[filepath.ToSlash(rel)] = name
				}
			case d.Type().IsRegular():
				files = append(files, p)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	for i, p := range files {
		rel, err := filepath.Rel(run.Dir, p)
		if err != nil {
			return nil, nil, err
		}
		files[i] = filepath.ToSlash(rel)
	}
	slices.Sort(files)
	return files, links, nil
}

// whole sends a file that does not change any more, if it was not sent.
func (m *mirror) whole(ctx context.Context, run pipelines.Run, rel string) ([]archivedPart, error) {
	file := filepath.Join(run.Dir, filepath.FromSlash(rel))
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	sum, err := m.hasher.Path(file)
	if err != nil {
		return nil, err
	}
	p := archivedPart{SHA256: strings.TrimPrefix(sum, "sha256:"), Size: info.Size()}
	p.Key = "objects/" + p.SHA256
	if strings.HasPrefix(rel, "artifacts/") {
		p.Key = rel // people look for model.onnx
	}
	if m.sent[p.Key] && (p.Key != rel || m.holds(rel, p.SHA256)) {
		return []archivedPart{p}, nil
	}
	if err := m.archive.Blobs.Put(ctx, runKey(m.runID, p.Key), file); err != nil {
		return nil, err
	}
	// As a Python adapter replaces latest: the object may not be what its name says.
	if strings.HasPrefix(rel, "checkpoints/") && !durable.Unchanged(file, info) {
		return nil, fmt.Errorf("%s was replaced while it was sent: %w", rel, fs.ErrNotExist)
	}
	m.sent[p.Key] = true
	return []archivedPart{p}, nil
}

// holds reports that the archive's file of that path has that content.
func (m *mirror) holds(rel, sum string) bool {
	return slices.ContainsFunc(m.rec.Files, func(f archivedFile) bool {
		return f.Path == rel && len(f.Parts) == 1 && f.Parts[0].SHA256 == sum
	})
}

// lines sends the lines that a spool got since, as one more part.
func (m *mirror) lines(ctx context.Context, run pipelines.Run, rel string, parts []archivedPart) ([]archivedPart, error) {
	f, err := os.Open(filepath.Join(run.Dir, filepath.FromSlash(rel)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	offset := archivedFile{Parts: parts}.size()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < offset {
		return nil, pipelines.Errorf(pipelines.CodeConflict, "another machine wrote the same attempt: %s is shorter than what was archived of it", f.Name())
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, 1<<62))
	if err != nil {
		return nil, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // a torn last line waits
	if len(data) == 0 {
		return parts, nil
	}
	sum := sha256.Sum256(data)
	p := archivedPart{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	p.Key = "objects/" + p.SHA256
	if err := m.archive.writeBytes(ctx, runKey(m.runID, p.Key), data); err != nil {
		return nil, err
	}
	m.sent[p.Key] = true
	return append(slices.Clone(parts), p), nil
}

// spoolPath is where an attempt's events lie in the run's folder.
func spoolPath(attempt int) string {
	return "attempts/" + strconv.Itoa(attempt) + "/" + spool.EventsFile
}
