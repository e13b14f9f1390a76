package work

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner/mirror"
)

// BringEvents brings home the spool as far as the pod has sent it.
func (p Place) BringEvents(ctx context.Context, runDir string) error {
	_, err := p.bring(ctx, runDir, func(f mirror.File) bool { return path.Base(f.Path) == spool.EventsFile })
	return err
}

// Bring makes the run's folder like the pod's, as far as the pod has sent it:
// the attempt's files, the checkpoints and the artifacts. final says that it
// was sent to its end.
func (p Place) Bring(ctx context.Context, runDir string) (final bool, err error) {
	return p.bring(ctx, runDir, func(mirror.File) bool { return true })
}

// bring brings home some files of what the pod has sent.
func (p Place) bring(ctx context.Context, runDir string, wanted func(mirror.File) bool) (final bool, err error) {
	m, err := p.read(ctx, "out.json")
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		return false, nil // a pod that has sent nothing yet is no error
	}
	if err != nil {
		return false, err
	}
	s := &sent{place: p, name: "out.json", first: &m, wanted: wanted}
	err = mirror.Pull(ctx, runDir, s)
	return s.Final, err
}

// sent is the run's folder as a manifest lists it. Of a manifest that was
// written anew, objects of the one before may be gone.
type sent struct {
	place  Place
	name   string
	first  *manifest // that was read already
	wanted func(mirror.File) bool
	manifest
}

func (s *sent) Files(ctx context.Context) ([]mirror.File, error) {
	var err error
	if s.first != nil {
		s.manifest, s.first = *s.first, nil
	} else if s.manifest, err = s.place.read(ctx, s.name); err != nil {
		return nil, err
	}
	var out []mirror.File
	for _, f := range s.manifest.Files {
		one := mirror.File{Path: f.Path, Size: total(f.Parts)}
		if len(f.Parts) == 1 { // one of several only grows, so that its size tells
			one.SHA256 = f.Parts[0].SHA256
		}
		if s.wanted(one) {
			out = append(out, one)
		}
	}
	for link, name := range s.Links {
		if one := (mirror.File{Path: link, Link: name}); s.wanted(one) {
			out = append(out, one)
		}
	}
	return out, nil
}

// Fetch writes a file from its parts.
func (s *sent) Fetch(ctx context.Context, f mirror.File, to string) error {
	for _, one := range s.manifest.Files {
		if one.Path == f.Path && len(one.Parts) == 1 {
			return s.place.Blobs.Get(ctx, s.place.object(one.Parts[0].SHA256), to)
		}
		if one.Path == f.Path {
			return s.place.join(ctx, one.Parts, to)
		}
	}
	return pipelines.Errorf(pipelines.CodeNotFound, "%s is not listed any more", f.Path)
}

func (p Place) join(ctx context.Context, parts []part, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	for _, one := range parts {
		if err == nil {
			err = p.appendPart(ctx, out, one)
		}
	}
	return errors.Join(err, out.Close())
}

func (p Place) appendPart(ctx context.Context, w io.Writer, one part) error {
	dir, err := os.MkdirTemp("", "part")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "x")
	if err := p.Blobs.Get(ctx, p.object(one.SHA256), at); err != nil {
		return err
	}
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
