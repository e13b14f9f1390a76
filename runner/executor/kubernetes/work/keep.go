package work

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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/mirror"
)

const (
	// look is between two looks at the run's folder.
	look = time.Second
	// eventsEvery is how long events may stay in the pod alone; its log has
	// them at once, as long as it is not rotated away.
	eventsEvery = 15 * time.Second
	// maxParts of a spool; more are sent as one again.
	maxParts = 100
)

// Keeper sends what a step makes, beside it: checkpoints as they are made,
// its events, and at its end all the rest.
type Keeper struct {
	place Place
	dir   string // the run's folder
	say   func(string)

	quit    context.CancelFunc
	stopped chan struct{}

	sums   map[string]known // of files that do not change any more
	sent   map[string]bool  // objects that the bucket has, and that are to be listed or to go
	events []part
	seen   string    // the checkpoints as last sent
	at     time.Time // of the last sending
}

// known is a file as it was hashed.
type known struct {
	size int64
	time time.Time
	part part
}

// Keep begins to send what comes into a run's folder. say takes a line for
// people about a bucket that is away.
func (p Place) Keep(ctx context.Context, runDir string, say func(string)) (*Keeper, error) {
	k := &Keeper{place: p, dir: runDir, say: say, stopped: make(chan struct{}), sums: map[string]known{}, sent: map[string]bool{}}
	in, err := p.read(ctx, "in.json")
	if err != nil {
		return nil, err
	}
	for _, f := range in.Files { // the task stays: other pods of the attempt may fetch it yet
		for _, one := range f.Parts {
			k.sent[p.object(one.SHA256)] = strings.HasPrefix(f.Path, "checkpoints/")
		}
	}
	if k.seen, err = k.checkpoints(); err != nil {
		return nil, err
	}
	ctx, k.quit = context.WithCancel(ctx)
	go k.work(ctx)
	return k, nil
}

func (k *Keeper) work(ctx context.Context) {
	defer close(k.stopped)
	for delay := look; runner.Sleep(ctx, delay); {
		due, err := k.due()
		if err == nil && due {
			err = k.push(ctx, false, nil)
		}
		if err != nil && ctx.Err() == nil {
			k.say(fmt.Sprintf("what the step made could not be sent: %s. The step goes on; it is tried again", err))
			delay = min(2*delay, 30*time.Second)
			continue
		}
		delay = look
	}
}

// due reports that there is a checkpoint, or for some time an event, to send.
func (k *Keeper) due() (bool, error) {
	now, err := k.checkpoints()
	if err != nil || now != k.seen {
		return err == nil, err
	}
	return time.Since(k.at) > eventsEvery && k.spoolSize() > total(k.events), nil
}

// checkpoints tells one state of the checkpoints from another.
func (k *Keeper) checkpoints() (string, error) {
	files, err := mirror.List(k.dir, mirror.Checkpoints)
	return fmt.Sprint(files), err
}

func (k *Keeper) spool() string {
	return filepath.Join(attemptDir(k.dir, k.place.Attempt), spool.EventsFile)
}

func (k *Keeper) spoolSize() int64 {
	info, err := os.Stat(k.spool())
	if err != nil {
		return 0
	}
	return info.Size()
}

func total(parts []part) int64 {
	var n int64
	for _, p := range parts {
		n += p.Size
	}
	return n
}

// Finish sends all that is there at the step's end, with some files of the
// attempt's folder, trying again until it is done, refused, or ctx ends.
func (k *Keeper) Finish(ctx context.Context, files ...string) error {
	k.quit()
	<-k.stopped
	for delay := look; ; delay = min(2*delay, 30*time.Second) {
		err := k.push(ctx, true, files)
		if err == nil || pipelines.CodeOf(err) == pipelines.CodeInvalid {
			return err
		}
		if ctx.Err() == nil {
			k.say(fmt.Sprintf("what the step made could not be sent: %s. It is tried again", err))
		}
		if !runner.Sleep(ctx, delay) {
			return err
		}
	}
}

// push makes the bucket like the folder: first the files, then the manifest
// that lists them, then what it no longer lists goes.
func (k *Keeper) push(ctx context.Context, final bool, own []string) error {
	seen, err := k.checkpoints()
	if err != nil {
		return err
	}
	m := manifest{Dir: k.dir, Final: final}
	if err := k.lines(ctx, &m); err != nil { // first: files are there before their events
		return err
	}
	for range 5 {
		err = k.files(ctx, &m, own)
		if !errors.Is(err, fs.ErrNotExist) {
			break // otherwise retention removed a checkpoint meanwhile, or it was replaced
		}
	}
	if err != nil {
		return err
	}
	if err := k.place.write(ctx, "out.json", m); err != nil {
		return err
	}
	k.seen, k.at = seen, time.Now()
	return k.sweep(ctx, m)
}

// files sends the files that the bucket lacks.
func (k *Keeper) files(ctx context.Context, m *manifest, own []string) error {
	folders := []string{mirror.Checkpoints}
	if m.Final {
		folders = append(folders, mirror.Artifacts)
	}
	paths, links, err := scan(k.dir, folders...)
	if err != nil {
		return err
	}
	for _, name := range own {
		if _, err := os.Stat(filepath.Join(attemptDir(k.dir, k.place.Attempt), name)); err == nil {
			paths = append(paths, fmt.Sprintf("attempts/%d/%s", k.place.Attempt, name))
		}
	}
	m.Links = links
	kept := m.Files
	for _, rel := range paths {
		one, err := k.whole(ctx, rel)
		if err != nil {
			return err
		}
		kept = append(kept, file{Path: rel, Parts: []part{one}})
	}
	m.Files = kept
	return nil
}

// whole sends a file that does not change any more, if it was not sent.
func (k *Keeper) whole(ctx context.Context, rel string) (part, error) {
	at := filepath.Join(k.dir, filepath.FromSlash(rel))
	info, err := os.Stat(at)
	if err != nil {
		return part{}, err
	}
	have, ok := k.sums[rel]
	if !ok || have.size != info.Size() || !have.time.Equal(info.ModTime()) {
		one, err := hashFile(at)
		if err != nil {
			return part{}, err
		}
		have = known{size: info.Size(), time: info.ModTime(), part: one}
		k.sums[rel] = have
	}
	key := k.place.object(have.part.SHA256)
	if _, ok := k.sent[key]; ok {
		return have.part, nil
	}
	if err := k.place.Blobs.Put(ctx, key, at); err != nil {
		return part{}, err
	}
	if !durable.Unchanged(at, info) { // as a Python adapter replaces latest: the object may not be what its name says
		return part{}, fmt.Errorf("%s was replaced while it was sent: %w", rel, fs.ErrNotExist)
	}
	k.sent[key] = true
	return have.part, nil
}

// lines sends what the spool got since, in whole lines, as one more part.
func (k *Keeper) lines(ctx context.Context, m *manifest) error {
	parts := k.events
	if len(parts) >= maxParts {
		parts = nil
	}
	f, err := os.Open(k.spool())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, total(parts), 1<<62))
	if err != nil {
		return err
	}
	if data = data[:bytes.LastIndexByte(data, '\n')+1]; len(data) > 0 {
		sum := sha256.Sum256(data)
		one := part{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
		key := k.place.object(one.SHA256)
		if err := k.place.putBytes(ctx, key, data); err != nil {
			return err
		}
		k.sent[key] = true
		parts = append(slices.Clone(parts), one)
	}
	k.events = parts
	if len(parts) > 0 {
		m.Files = append(m.Files, file{Path: fmt.Sprintf("attempts/%d/%s", k.place.Attempt, spool.EventsFile), Parts: parts})
	}
	return nil
}

// sweep deletes what the manifest no longer lists: retention holds in the
// bucket too.
func (k *Keeper) sweep(ctx context.Context, m manifest) error {
	listed := map[string]bool{}
	for _, f := range m.Files {
		for _, one := range f.Parts {
			listed[k.place.object(one.SHA256)] = true
		}
	}
	var gone []string
	for key, mayGo := range k.sent {
		if mayGo && !listed[key] {
			gone = append(gone, key)
		} else {
			listed[key] = mayGo
		}
	}
	if err := k.place.Blobs.Delete(ctx, gone...); err != nil {
		return err
	}
	k.sent = listed
	return nil
}
