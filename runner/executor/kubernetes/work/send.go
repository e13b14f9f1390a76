package work

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// packSize is about how large a pack of files is: many small images are few
// large objects.
const packSize = 64 << 20

// parallel is how many transfers are under way at once.
const parallel = 4

// Input is a file or folder that a pod needs beside its run's folder.
type Input struct {
	From string // here
	To   string // in the pod; "" = the same path
	// Key names the content of what is too large to be hashed each time (the
	// fingerprint of a data set); "" = it is hashed.
	Key string
}

// Sender sends what pods start with. It may be used from several goroutines:
// what two attempts need is sent once.
type Sender struct {
	mu   sync.Mutex
	busy map[string]*sync.Mutex // by key of a set
}

// Send puts into the bucket what the attempt's pod starts with: the files of
// its attempt folder, the run's checkpoints, and the inputs.
func (s *Sender) Send(ctx context.Context, p Place, runDir string, inputs []Input) error {
	there, err := p.Blobs.List(ctx, p.object(""))
	if err != nil {
		return err
	}
	sent := map[string]bool{}
	for _, o := range there {
		sent[o.Key] = true
	}
	m := manifest{Dir: runDir}
	paths, links, err := scan(runDir, "checkpoints")
	if err != nil {
		return err
	}
	m.Links = links
	for _, name := range []string{spool.TaskFile, "dataset.json"} {
		if _, err := os.Stat(filepath.Join(attemptDir(runDir, p.Attempt), name)); err == nil {
			paths = append(paths, fmt.Sprintf("attempts/%d/%s", p.Attempt, name))
		}
	}
	for _, rel := range paths {
		at := filepath.Join(runDir, filepath.FromSlash(rel))
		one, err := hashFile(at)
		if err != nil {
			return err
		}
		if key := p.object(one.SHA256); !sent[key] {
			if err := p.Blobs.Put(ctx, key, at); err != nil {
				return err
			}
			sent[key] = true
		}
		m.Files = append(m.Files, file{Path: rel, Parts: []part{one}})
	}
	for _, in := range inputs {
		one, err := s.set(ctx, p, in)
		if err != nil {
			return fmt.Errorf("send %s: %w", in.From, err)
		}
		m.Sets = append(m.Sets, one)
	}
	return p.write(ctx, "in.json", m)
}

// packed is a file of a set.
type packed struct {
	rel  string // "" = the input itself
	at   string
	size int64
}

// set sends the packs of an input that the bucket lacks.
func (s *Sender) set(ctx context.Context, p Place, in Input) (set, error) {
	files, err := listInput(in.From)
	if err != nil {
		return set{}, err
	}
	key, err := inputKey(in, files)
	if err != nil {
		return set{}, err
	}
	defer s.lock(key)()
	groups := grouped(files)
	out := set{Key: key, To: in.To, Packs: len(groups)}
	if out.To == "" {
		out.To = in.From
	}
	there, err := p.Blobs.List(ctx, "data/"+key+"/")
	if err != nil {
		return set{}, err
	}
	have := map[string]bool{}
	for _, o := range there {
		have[o.Key] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, g := range groups {
		if name := pack(key, i); !have[name] {
			group.Go(func() error { return putPack(ctx, p, name, g) })
		}
	}
	return out, group.Wait()
}

func (s *Sender) lock(key string) (unlock func()) {
	s.mu.Lock()
	if s.busy == nil {
		s.busy = map[string]*sync.Mutex{}
	}
	m := s.busy[key]
	if m == nil {
		m = &sync.Mutex{}
		s.busy[key] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// listInput lists the files of an input in a fixed order, links to files as
// what they lead to.
func listInput(from string) ([]packed, error) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return nil, err
	}
	var out []packed
	err = filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			if info.IsDir() {
				return pipelines.Errorf(pipelines.CodeInvalid, "%s is a link to a folder, which is not followed", at)
			}
			return nil
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		if rel == "." {
			rel = ""
		}
		out = append(out, packed{rel: filepath.ToSlash(rel), at: at, size: info.Size()})
		return nil
	})
	return out, err
}

// inputKey names the content of an input and which files it has.
func inputKey(in Input, files []packed) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", in.Key)
	for _, f := range files {
		fmt.Fprintf(h, "%q %d", f.rel, f.size)
		if in.Key == "" {
			one, err := hashFile(f.at)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, " %s", one.SHA256)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// grouped splits files into packs.
func grouped(files []packed) [][]packed {
	var out [][]packed
	var size int64
	for i, f := range files {
		if i == 0 || size+f.size > packSize {
			out, size = append(out, nil), 0
		}
		size += f.size
		out[len(out)-1] = append(out[len(out)-1], f)
	}
	return out
}

func putPack(ctx context.Context, p Place, key string, files []packed) error {
	tmp, err := os.CreateTemp("", "pack")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	w := tar.NewWriter(tmp)
	for _, f := range files {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = addFile(w, f)
		}
	}
	if err = errors.Join(err, w.Close(), tmp.Close()); err != nil {
		return err
	}
	return p.Blobs.Put(ctx, key, tmp.Name())
}

func addFile(w *tar.Writer, f packed) error {
	in, err := os.Open(f.at)
	if err != nil {
		return err
	}
	defer in.Close()
	name := f.rel
	if name == "" {
		name = "."
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: f.size, Mode: 0o644}); err != nil {
		return err
	}
	_, err = io.Copy(w, io.LimitReader(in, f.size)) // one that shrank since is an error of Close
	return err
}

// hashFile is a file as one part.
func hashFile(at string) (part, error) {
	f, err := os.Open(at)
	if err != nil {
		return part{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return part{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, err
}
