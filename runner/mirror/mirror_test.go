package mirror_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/mirror"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// sealed is a text that tells whether it is whole.
func sealed(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return append([]byte(text), hex.EncodeToString(sum[:])...)
}

func whole(b []byte) bool {
	n := len(b) - 2*sha256.Size
	return n >= 0 && bytes.Equal(b, sealed(string(b[:n])))
}

// step changes a run's folder as steps do: what it makes gets its name when it
// is whole, then the links, then the retention.
type step struct {
	t     *testing.T
	dir   string
	rand  *rand.Rand
	epoch int
	made  int
}

func (s *step) checkpoints() []string {
	entries, _ := os.ReadDir(filepath.Join(s.dir, "checkpoints"))
	var out []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

func (s *step) write(name string, deep bool) {
	s.made++
	at := filepath.Join(s.dir, filepath.FromSlash(name))
	tmp := filepath.Join(filepath.Dir(at), ".tmp-"+filepath.Base(at))
	text := func(file string) []byte {
		return sealed(fmt.Sprintf("%s %s %d %s", name, file, s.made, strings.Repeat("x", s.rand.IntN(3000))))
	}
	must(s.t, os.MkdirAll(filepath.Dir(at), 0o755))
	if deep {
		must(s.t, os.MkdirAll(filepath.Join(tmp, "deep"), 0o755), os.WriteFile(filepath.Join(tmp, "state"), text("state"), 0o644),
			os.WriteFile(filepath.Join(tmp, "deep", "a"), text("a"), 0o644), os.WriteFile(filepath.Join(tmp, "deep-b"), text("b"), 0o644))
	} else {
		must(s.t, os.WriteFile(tmp, text(""), 0o644))
	}
	old := filepath.Join(filepath.Dir(at), ".old")
	must(s.t, os.RemoveAll(old))
	if err := os.Rename(at, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	must(s.t, os.Rename(tmp, at), os.RemoveAll(old))
}

func (s *step) link(name, to string) {
	tmp := filepath.Join(s.dir, "checkpoints", ".tmp-link")
	must(s.t, os.Symlink(to, tmp), os.Rename(tmp, filepath.Join(s.dir, "checkpoints", name)))
}

func (s *step) change() {
	have := s.checkpoints()
	any := func() string { return have[s.rand.IntN(len(have))] }
	switch n := s.rand.IntN(10); {
	case n < 5 || len(have) == 0: // an epoch
		s.epoch++
		name := fmt.Sprintf("epoch_%d", s.epoch)
		s.write("checkpoints/"+name, true)
		s.link("latest", name)
		if s.rand.IntN(2) == 0 || s.epoch == 1 {
			s.link("best", name)
		}
		best, _ := os.Readlink(filepath.Join(s.dir, "checkpoints", "best"))
		for _, old := range have {
			if old != best && s.rand.IntN(2) == 0 {
				must(s.t, os.RemoveAll(filepath.Join(s.dir, "checkpoints", old)))
			}
		}
	case n == 5: // one of an attempt that was given up is made again
		s.write("checkpoints/"+any(), true)
	case n == 6:
		s.link("best", any())
	case n == 7:
		s.write("artifacts/model.onnx", false)
	default:
		s.write("artifacts/plots", true)
	}
}

// source is the step's folder over a bad line. It changes while it is read.
type source struct {
	*step
	sums  bool
	calm  bool
	fails int
}

var errLine = pipelines.Errorf(pipelines.CodeUnavailable, "the line broke")

func (s *source) Files(context.Context) ([]mirror.File, error) {
	files, err := mirror.List(s.dir, mirror.Checkpoints, mirror.Artifacts)
	for i := range files {
		if s.sums && files[i].Link == "" {
			b, rerr := os.ReadFile(filepath.Join(s.dir, files[i].Path))
			sum := sha256.Sum256(b)
			files[i].SHA256, files[i].Time = hex.EncodeToString(sum[:]), time.Time{}
			err = errors.Join(err, rerr)
		}
	}
	return files, err
}

func (s *source) Fetch(_ context.Context, f mirror.File, to string) error {
	if !s.calm && s.rand.IntN(8) == 0 {
		s.change()
	}
	b, err := os.ReadFile(filepath.Join(s.dir, f.Path))
	if err != nil {
		return err
	}
	if s.sums && !s.calm {
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != f.SHA256 {
			return pipelines.Errorf(pipelines.CodeNotFound, "an object that is no longer there")
		}
	}
	if !s.calm && s.rand.IntN(8) == 0 {
		s.fails++
		return errors.Join(os.WriteFile(to, b[:len(b)/2], 0o644), errLine)
	}
	return os.WriteFile(to, b, 0o644)
}

// watch reads a folder as evaluations and reports do, until the test is over.
// Nothing that it sees is torn.
func watch(t *testing.T, dir string) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
				look(t, dir)
			}
		}
	})
	return func() { close(quit); wg.Wait() }
}

func look(t *testing.T, dir string) {
	for _, link := range []string{"latest", "best"} {
		at := filepath.Join(dir, "checkpoints", link)
		to, err := os.Readlink(at)
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "checkpoints", to)); err != nil {
			if again, _ := os.Readlink(at); again == to {
				t.Errorf("%s points to %s: %v", link, to, err)
			}
		}
	}
	for _, folder := range []string{"checkpoints", "artifacts"} {
		entries, _ := os.ReadDir(filepath.Join(dir, folder))
		for _, e := range entries {
			at := filepath.Join(dir, folder, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if e.Type().IsRegular() {
				if b, err := os.ReadFile(at); err == nil && !whole(b) {
					t.Errorf("%s is torn", at)
				}
				continue
			}
			root, err := os.OpenRoot(at)
			if err != nil {
				continue // gone since
			}
			for _, name := range []string{"state", "deep/a", "deep-b"} {
				b, err := root.ReadFile(name)
				was, _ := root.Stat(".")
				if now, serr := os.Stat(at); err != nil && serr == nil && os.SameFile(was, now) {
					t.Errorf("%s has no %s: %v", at, name, err)
				}
				if err == nil && !whole(b) {
					t.Errorf("%s/%s is torn", at, name)
				}
			}
			_ = root.Close()
		}
	}
}

// content is what a folder holds, with its links.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, folder := range []string{"checkpoints", "artifacts"} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
				return nil
			}
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(dir, p)
			if d.Type()&fs.ModeSymlink != 0 {
				out[rel], err = os.Readlink(p)
				return err
			}
			b, err := os.ReadFile(p)
			out[rel] = string(b)
			return err
		})
		must(t, err)
	}
	return out
}

// TestPullCatchesUp: whatever a step does, and however often the line breaks,
// two followers' copy is the step's folder once they have caught up, and
// nobody who reads it meanwhile sees anything torn.
func TestPullCatchesUp(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			here := filepath.Join(t.TempDir(), "run")
			s := &source{step: &step{t: t, dir: t.TempDir(), rand: rand.New(rand.NewPCG(seed, 1))}, sums: seed%2 == 1}
			defer watch(t, here)()
			for round := range 20 {
				for range 1 + s.rand.IntN(3) {
					s.change()
				}
				s.calm = false
				err := mirror.Pull(t.Context(), here, s)
				if err != nil && !errors.Is(err, errLine) && pipelines.CodeOf(err) != pipelines.CodeNotFound && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if round%5 < 3 { // a part of the way, and more changes
					continue
				}
				s.calm = true
				other := make(chan error)
				go func() { other <- mirror.Pull(t.Context(), here, s) }()
				must(t, mirror.Pull(t.Context(), here, s), <-other)
				if got, want := content(t, here), content(t, s.dir); !reflect.DeepEqual(got, want) {
					t.Fatalf("round %d: the copy has %d files, the step %d:\n%s", round, len(got), len(want), difference(got, want))
				}
			}
			if s.fails == 0 {
				t.Error("the line never broke")
			}
		})
	}
}

func difference(got, want map[string]string) string {
	var out strings.Builder
	for name := range want {
		if got[name] != want[name] {
			fmt.Fprintf(&out, "%s: %.60q, want %.60q\n", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			fmt.Fprintf(&out, "%s is too much\n", name)
		}
	}
	return out.String()
}

// fixed is a source of files that are always there.
type fixed map[string]string

func (s fixed) Files(context.Context) ([]mirror.File, error) {
	var out []mirror.File
	for name, text := range s {
		if link, ok := strings.CutPrefix(text, "-> "); ok {
			out = append(out, mirror.File{Path: name, Link: link})
		} else {
			out = append(out, mirror.File{Path: name, Size: int64(len(text))})
		}
	}
	return out, nil
}

func (s fixed) Fetch(_ context.Context, f mirror.File, to string) error {
	return os.WriteFile(to, []byte(s[f.Path]), 0o644)
}

func TestWhatAKilledProcessLeftGoes(t *testing.T) {
	dir := t.TempDir()
	half := filepath.Join(dir, "checkpoints", ".incoming-epoch_0")
	own := filepath.Join(dir, "checkpoints", ".tmp-epoch_2") // a step's own
	must(t, os.MkdirAll(half, 0o755), os.WriteFile(filepath.Join(half, "w"), []byte("ha"), 0o644), os.MkdirAll(own, 0o755))
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/epoch_1/w": "whole", "checkpoints/latest": "-> epoch_1"}))
	if b, err := os.ReadFile(filepath.Join(dir, "checkpoints", "latest", "w")); string(b) != "whole" {
		t.Error(string(b), err)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("what was begun is still there")
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
}

// liar is a source whose list is not of what comes.
type liar struct {
	fixed
	sum string
	add int64
}

func (s liar) Files(ctx context.Context) ([]mirror.File, error) {
	files, err := s.fixed.Files(ctx)
	for i := range files {
		files[i].Size += s.add
		files[i].SHA256 = s.sum
	}
	return files, err
}

func TestWhatCameIsChecked(t *testing.T) {
	for _, s := range []liar{{sum: strings.Repeat("0", 64)}, {add: 1}, {add: -1}} {
		dir := t.TempDir()
		s.fixed = fixed{"checkpoints/e/w": "text"}
		if err := mirror.Pull(t.Context(), dir, s); err == nil || len(content(t, dir)) > 0 {
			t.Errorf("%+v was taken: %v, %v", s, content(t, dir), err)
		}
	}
}

func TestASideThatLostEverythingTakesNothingAway(t *testing.T) {
	dir := t.TempDir()
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/epoch_1/w": "one", "checkpoints/latest": "-> epoch_1", "artifacts/m": "model", "attempts/1/output.log": "said"}))
	before := content(t, dir)
	must(t, mirror.Pull(t.Context(), dir, fixed{"attempts/1/output.log": "said more"}))
	if got := content(t, dir); !reflect.DeepEqual(got, before) || len(got) != 3 {
		t.Errorf("left: %v", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "attempts", "1", "output.log")); string(b) != "said more" {
		t.Errorf("the attempt's file is %q: %v", b, err)
	}
}

// A link that was listed while it moved keeps pointing at what it did, which
// stays as long.
func TestALinkToWhatIsNotListed(t *testing.T) {
	dir := t.TempDir()
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/e1/w": "1", "checkpoints/latest": "-> e1", "checkpoints/best": "-> e1"}))
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/e2/w": "2", "checkpoints/latest": "-> e3"}))
	got := content(t, dir)
	if want := map[string]string{"checkpoints/e1/w": "1", "checkpoints/e2/w": "2", "checkpoints/latest": "e1"}; !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/e3/w": "3", "checkpoints/latest": "-> e3"}))
	if want := map[string]string{"checkpoints/e3/w": "3", "checkpoints/latest": "e3"}; !reflect.DeepEqual(content(t, dir), want) {
		t.Error(content(t, dir))
	}
}

func TestKindsChange(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []fixed{{"checkpoints/a": "file"}, {"checkpoints/a/b": "folder"}, {"checkpoints/a/b/c": "deeper"}, {"checkpoints/a": "-> c", "checkpoints/c": "x"}, {"checkpoints/a/b": "folder"}, {"checkpoints/a": "file"},
		{"checkpoints/a": "-> b", "checkpoints/b": "-> c", "checkpoints/c": "x"}} {
		must(t, mirror.Pull(t.Context(), dir, s))
		want := map[string]string{}
		for name, text := range s {
			want[name] = strings.TrimPrefix(text, "-> ")
		}
		if got := content(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v", s, got)
		}
	}
}

func TestWhatLeadsOut(t *testing.T) {
	for _, s := range []fixed{
		{"../x": "a"}, {"/etc/x": "a"}, {"checkpoints/../../x": "a"}, {"checkpoints": "a"}, {"x": "a"}, {"state/db": "a"}, {"checkpoints/.x": "a"}, {"checkpoints/e/.x": "a"},
		{"checkpoints//x": "a"}, {"checkpoints/x\x00": "a"}, {"attempts/1": "a"}, {"attempts/1/a/b": "a"},
		{"checkpoints/l": "-> ../x"}, {"checkpoints/l": "-> /etc"}, {"checkpoints/l": "-> l"}, {"checkpoints/l": "-> .."}, {"checkpoints/e/l": "-> x"}, {"attempts/1/l": "-> x"},
		{"checkpoints/e": "a", "checkpoints/e/b": "a"},
	} {
		dir := t.TempDir()
		if err := mirror.Pull(t.Context(), dir, s); pipelines.CodeOf(err) != pipelines.CodeInvalid {
			t.Errorf("%q: %v", s, err)
		}
		if got := content(t, dir); len(got) > 0 {
			t.Errorf("%q wrote %v", s, got)
		}
	}
	f, err := mirror.Open(t.Context(), t.TempDir())
	must(t, err)
	defer f.Close()
	for _, name := range []string{"../x", "checkpoints", "checkpoints/a/b", "/x"} {
		if errs := []error{f.Replace(name, func(string) error { return nil }), f.Link(name, "a"), f.Remove(name)}; slices.Contains(errs, nil) {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if err := f.Link("checkpoints/latest", "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
}

func TestRemoveTakesLinksWithIt(t *testing.T) {
	dir := t.TempDir()
	must(t, mirror.Pull(t.Context(), dir, fixed{"checkpoints/e1/w": "1", "checkpoints/e2/w": "2", "checkpoints/latest": "-> e1", "checkpoints/best": "-> e2"}))
	f, err := mirror.Open(t.Context(), dir)
	must(t, err, f.Remove("checkpoints/e1"), f.Remove("checkpoints/e1"), f.Close())
	if want := map[string]string{"checkpoints/e2/w": "2", "checkpoints/best": "e2"}; !reflect.DeepEqual(content(t, dir), want) {
		t.Error(content(t, dir))
	}
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	f, err := mirror.Open(t.Context(), dir)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- mirror.Pull(ctx, dir, fixed{"checkpoints/e1/w": "1"}) }()
	must(t, os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o755))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, f.Close(), mirror.Pull(t.Context(), dir, fixed{"checkpoints/e1/w": "1"}))
}

// TestListDropsWhatDoesNotBelong: hidden names, links out, sockets and such.
func TestListDropsWhatDoesNotBelong(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "checkpoints", "e", "deep"), 0o755), os.MkdirAll(filepath.Join(dir, "checkpoints", ".tmp"), 0o755),
		os.WriteFile(filepath.Join(dir, "checkpoints", "e", "deep", "w"), []byte("12"), 0o644), os.WriteFile(filepath.Join(dir, "checkpoints", ".tmp", "w"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "secret"), nil, 0o644))
	for name, to := range map[string]string{"latest": "e", "out": "../secret", "abs": "/etc", "nothing": "x", "e/inner": "deep"} {
		must(t, os.Symlink(to, filepath.Join(dir, "checkpoints", name)))
	}
	files, err := mirror.List(dir, mirror.Checkpoints, mirror.Artifacts)
	must(t, err)
	var got []string
	for _, f := range files {
		got = append(got, f.Path+" "+f.Link)
	}
	if want := []string{"checkpoints/e/deep/w ", "checkpoints/latest e"}; !slices.Equal(got, want) || files[0].Size != 2 || files[0].Time.IsZero() {
		t.Errorf("%q, %+v", got, files)
	}
}
