package work

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// BringEvents brings home the spool as far as the pod has sent it.
func (p Place) BringEvents(ctx context.Context, runDir string) error {
	m, err := p.read(ctx, "out.json")
	if err != nil {
		return orNothing(err)
	}
	for _, f := range m.Files {
		if path.Base(f.Path) == spool.EventsFile {
			return p.bringFile(ctx, runDir, f)
		}
	}
	return nil
}

// orNothing: a pod that has sent nothing yet is no error.
func orNothing(err error) error {
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return nil
	}
	return err
}

// Bring makes the run's folder like the pod's, as far as the pod has sent it:
// the attempt's files, the checkpoints (those that the pod no longer keeps go
// here too) and the artifacts. final says that it was sent to its end.
func (p Place) Bring(ctx context.Context, runDir string) (final bool, err error) {
	m, err := p.read(ctx, "out.json")
	if err != nil {
		return false, orNothing(err)
	}
	checkpoints := map[string][]file{} // by their folder, or their own name
	for _, f := range m.Files {
		if rest, ok := strings.CutPrefix(f.Path, "checkpoints/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			checkpoints[name] = append(checkpoints[name], f)
			continue
		}
		if err := p.bringFile(ctx, runDir, f); err != nil {
			return false, err
		}
	}
	dir := filepath.Join(runDir, "checkpoints")
	for name, files := range checkpoints {
		if err := p.bringCheckpoint(ctx, runDir, name, files); err != nil {
			return false, err
		}
	}
	for link, name := range m.Links {
		at, err := within(runDir, link)
		if err != nil {
			return false, err
		}
		if err := relink(at, name); err != nil {
			return false, err
		}
	}
	here, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return m.Final, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range here {
		_, linked := m.Links["checkpoints/"+e.Name()]
		if checkpoints[e.Name()] == nil && !linked {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return false, err
			}
		}
	}
	return m.Final, nil
}

// bringFile fetches a file that is not here, or other than there.
func (p Place) bringFile(ctx context.Context, runDir string, f file) error {
	at, err := within(runDir, f.Path)
	if err != nil || same(at, f) {
		return err
	}
	return p.get(ctx, f, at)
}

// bringCheckpoint fetches a checkpoint, whole or not at all.
func (p Place) bringCheckpoint(ctx context.Context, runDir, name string, files []file) error {
	missing := false
	for _, f := range files {
		at, err := within(runDir, f.Path)
		if err != nil {
			return err
		}
		missing = missing || !same(at, f)
	}
	if !missing {
		return nil
	}
	to := filepath.Join(runDir, "checkpoints", name)
	if len(files) == 1 && files[0].Path == "checkpoints/"+name {
		return p.get(ctx, files[0], to)
	}
	tmp := incoming(to)
	defer os.RemoveAll(tmp)
	for _, f := range files {
		at, err := within(tmp, strings.TrimPrefix(f.Path, "checkpoints/"+name+"/"))
		if err != nil {
			return err
		}
		if err := p.get(ctx, f, at); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// same reports that a file here is that of the bucket. One of several parts
// only grows, so that its size tells.
func same(at string, f file) bool {
	var size int64
	for _, one := range f.Parts {
		size += one.Size
	}
	info, err := os.Stat(at)
	if err != nil || info.Size() != size {
		return false
	}
	if len(f.Parts) != 1 {
		return true
	}
	one, err := hashFile(at)
	return err == nil && one == f.Parts[0]
}
