package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

const (
	manifestFile = "manifest.json"
	weightsFile  = "weights.bin"
	stateFile    = "state.json"
)

// manifest lists a checkpoint's files, as docs/protocol.md describes.
type manifest struct {
	Version    int                `json:"v"`
	Epoch      int                `json:"epoch"`
	GlobalStep int64              `json:"global_step"`
	Complete   bool               `json:"complete"`
	Metrics    map[string]float64 `json:"metrics,omitempty"`
	Files      map[string]file    `json:"files"`
}

type file struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// save writes dir/name whole or not at all.
func save(dir, name string, s *state, metrics map[string]float64, complete bool) (pipelines.Checkpoint, error) {
	none := pipelines.Checkpoint{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return none, err
	}
	tmp, err := os.MkdirTemp(dir, "."+name+".")
	if err != nil {
		return none, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return none, err
	}
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return none, err
	}
	m := manifest{Version: 1, Epoch: s.Epoch, GlobalStep: s.GlobalStep, Complete: complete, Metrics: metrics, Files: map[string]file{}}
	size := int64(0)
	for name, data := range map[string][]byte{weightsFile: encode(s.Weights), stateFile: text} {
		if err := durable.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			return none, err
		}
		m.Files[name] = file{SHA256: hash(data), Size: int64(len(data))}
		size += int64(len(data))
	}
	text, err = json.MarshalIndent(m, "", " ")
	if err != nil {
		return none, err
	}
	if err := durable.WriteFile(filepath.Join(tmp, manifestFile), text, 0o644); err != nil {
		return none, err
	}
	path := filepath.Join(dir, name)
	// One of that name was left by an attempt that went on from before it.
	if err := discard(path); err != nil {
		return none, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return none, err
	}
	if err := syncDir(dir); err != nil {
		return none, err
	}
	return pipelines.Checkpoint{
		Name: name, Path: path, SHA256: hash(text), Size: size, Epoch: s.Epoch, GlobalStep: s.GlobalStep, Metrics: metrics,
	}, nil
}

// link makes dir/name a symbolic link to a checkpoint beside it.
func link(dir, name string, to pipelines.Checkpoint) (pipelines.Checkpoint, error) {
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%d", name, os.Getpid()))
	_ = os.Remove(tmp)
	if err := os.Symlink(to.Name, tmp); err != nil {
		return to, err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return to, err
	}
	to.Name = name
	return to, syncDir(dir)
}

// load reads a checkpoint and verifies it.
func load(path string) (*state, pipelines.Checkpoint, error) {
	var c pipelines.Checkpoint
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, c, err
	}
	text, err := os.ReadFile(filepath.Join(real, manifestFile))
	if err != nil {
		return nil, c, err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, c, fmt.Errorf("%s: %w", path, err)
	}
	s := &state{}
	for name, want := range m.Files {
		data, err := os.ReadFile(filepath.Join(real, name))
		if err != nil {
			return nil, c, err
		}
		if hash(data) != want.SHA256 {
			return nil, c, fmt.Errorf("%s/%s does not fit its SHA-256", real, name)
		}
		switch name {
		case weightsFile:
			s.Weights = decode(data)
		case stateFile:
			if err := json.Unmarshal(data, s); err != nil {
				return nil, c, err
			}
		}
	}
	c = pipelines.Checkpoint{Name: filepath.Base(real), Path: real, SHA256: hash(text), Epoch: m.Epoch, GlobalStep: m.GlobalStep, Metrics: m.Metrics}
	return s, c, nil
}

// newest finds the newest readable checkpoint and why others were passed over.
func newest(dir string) (s *state, c pipelines.Checkpoint, skipped []error, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, c, nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		state, found, err := load(filepath.Join(dir, e.Name()))
		if err != nil {
			skipped = append(skipped, err)
		} else if s == nil || found.GlobalStep > c.GlobalStep {
			s, c = state, found
		}
	}
	return s, c, skipped, nil
}

// retain removes what the policy does not keep. best and latest, and the one
// before the newest, are always kept.
func retain(dir string, p pipelines.CheckpointPolicy) error {
	keep := map[string]bool{}
	for _, name := range []string{"latest", "best"} {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
			keep[filepath.Base(real)] = true
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var epochs []int
	for _, e := range entries {
		if n, ok := epochOf(e.Name()); ok {
			epochs = append(epochs, n)
		}
	}
	slices.Sort(epochs)
	last := max(p.KeepLast, 2)
	for _, n := range epochs[max(0, len(epochs)-last):] {
		keep[fmt.Sprintf("epoch_%d", n)] = true
	}
	for _, e := range entries {
		n, ok := epochOf(e.Name())
		forGood := ok && p.KeepEvery > 0 && n%p.KeepEvery == 0
		switch {
		case !e.IsDir() || keep[e.Name()] || forGood:
		case strings.HasPrefix(e.Name(), "."): // left by a crash
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		default:
			err = errors.Join(err, discard(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// discard removes a checkpoint so that at no moment half of it is seen.
func discard(path string) error {
	hidden := filepath.Join(filepath.Dir(path), ".old."+filepath.Base(path))
	if err := os.RemoveAll(hidden); err != nil {
		return err
	}
	if err := os.Rename(path, hidden); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(hidden)
}

func epochOf(name string) (n int, ok bool) {
	text, ok := strings.CutPrefix(name, "epoch_")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func encode(w []float64) []byte {
	out := make([]byte, 0, 8*len(w))
	for _, v := range w {
		bits := math.Float64bits(v)
		for i := range 8 {
			out = append(out, byte(bits>>(8*i)))
		}
	}
	return out
}

func decode(b []byte) []float64 {
	var out []float64
	for chunk := range slices.Chunk(b, 8) {
		bits := uint64(0)
		for i, x := range chunk {
			bits |= uint64(x) << (8 * i)
		}
		out = append(out, math.Float64frombits(bits))
	}
	return out
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
