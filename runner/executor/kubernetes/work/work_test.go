package work_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/dir"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/work"
)

// bucket counts what is put, and can be away.
type bucket struct {
	runner.Blobs
	away atomic.Bool
	mu   sync.Mutex
	puts []string
	hook func(key, file string) // before each Put
}

func (b *bucket) Put(ctx context.Context, key, file string) error {
	if b.away.Load() {
		return pipelines.Errorf(pipelines.CodeUnavailable, "the bucket is away")
	}
	b.mu.Lock()
	b.puts = append(b.puts, key)
	b.mu.Unlock()
	if b.hook != nil {
		b.hook(key, file)
	}
	return b.Blobs.Put(ctx, key, file)
}

func (b *bucket) count(prefix string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, key := range b.puts {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

func (b *bucket) objects(t *testing.T) int {
	t.Helper()
	list, err := b.List(t.Context(), "runs/r/pods/objects/")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// sides is a runner and a pod that see the same paths, one at a time.
type sides struct {
	t      *testing.T
	bucket *bucket
	root   string // where whoever has the turn has its files
	away   string // where the other's are meanwhile
	place  work.Place
	sender work.Sender
}

func newSides(t *testing.T) *sides {
	t.Helper()
	blobs, err := dir.Open(filepath.Join(t.TempDir(), "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	s := &sides{t: t, bucket: &bucket{Blobs: blobs}, root: filepath.Join(base, "here"), away: filepath.Join(base, "there")}
	s.place = work.Place{Blobs: s.bucket, Run: "r", Attempt: 1}
	s.must(os.MkdirAll(s.root, 0o755), os.MkdirAll(s.away, 0o755))
	return s
}

func (s *sides) must(errs ...error) {
	s.t.Helper()
	for _, err := range errs {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// turn lets the other side see its files.
func (s *sides) turn() {
	s.t.Helper()
	tmp := s.root + ".tmp"
	s.must(os.Rename(s.root, tmp), os.Rename(s.away, s.root), os.Rename(tmp, s.away))
}

func (s *sides) run() string { return filepath.Join(s.root, "run") }

func (s *sides) write(rel, text string) {
	s.t.Helper()
	at := filepath.Join(s.root, rel)
	s.must(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644))
}

func (s *sides) read(rel string) string {
	b, err := os.ReadFile(filepath.Join(s.root, rel))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(b)
}

func (s *sides) send(inputs ...work.Input) {
	s.t.Helper()
	s.must(s.sender.Send(s.t.Context(), s.place, s.run(), inputs))
}

func (s *sides) keep() *work.Keeper {
	s.t.Helper()
	k, err := s.place.Keep(s.t.Context(), s.run(), func(string) {})
	s.must(err)
	return k
}

func (s *sides) bring() bool {
	s.t.Helper()
	final, err := s.place.Bring(s.t.Context(), s.run())
	s.must(err)
	return final
}

func (s *sides) until(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// pushed reports that the bucket's pointer lists a file.
func (s *sides) pushed(rel string) bool {
	at := filepath.Join(s.t.TempDir(), "out.json")
	if s.bucket.Get(context.Background(), fmt.Sprintf("runs/r/pods/%d/out.json", s.place.Attempt), at) != nil {
		return false
	}
	b, err := os.ReadFile(at)
	return err == nil && strings.Contains(string(b), `"`+rel+`"`)
}

// A pod starts with what the runner sent, and the runner's folder ends like the pod's.
func TestThereAndBack(t *testing.T) {
	s := newSides(t)
	s.write("run/attempts/1/task.json", "task")
	s.write("run/attempts/1/dataset.json", "list")
	s.write("run/attempts/1/kubernetes.json", "of the runner")
	s.write("run/checkpoints/epoch_1/w", "one")
	s.write("run/checkpoints/.incoming-x/w", "half")
	s.must(os.Symlink("epoch_1", filepath.Join(s.run(), "checkpoints", "latest")))
	s.write("data/a/ü 1.png", "image")
	s.write("data/b/2.png", "other image")
	s.write("weights.bin", "weights")
	data, weights := filepath.Join(s.root, "data"), filepath.Join(s.root, "weights.bin")
	s.send(work.Input{From: data, Key: "sha256:f"}, work.Input{From: weights})

	s.turn() // to the pod
	s.must(s.place.Fetch(t.Context()))
	for rel, want := range map[string]string{"run/attempts/1/task.json": "task", "run/attempts/1/dataset.json": "list",
		"run/checkpoints/latest/w": "one", "data/a/ü 1.png": "image", "data/b/2.png": "other image", "weights.bin": "weights"} {
		if got := s.read(rel); got != want {
			t.Errorf("in the pod %s is %q, want %q", rel, got, want)
		}
	}
	for _, rel := range []string{"run/attempts/1/kubernetes.json", "run/checkpoints/.incoming-x/w"} {
		if got := s.read(rel); !strings.Contains(got, "no such file") {
			t.Errorf("in the pod there is %s: %q", rel, got)
		}
	}
	k := s.keep()
	s.write("run/attempts/1/events.ndjson", "{1}\n{2}\n{torn")
	s.write("run/checkpoints/epoch_2/w", "two")
	s.must(os.RemoveAll(filepath.Join(s.run(), "checkpoints", "epoch_1")), os.Remove(filepath.Join(s.run(), "checkpoints", "latest")),
		os.Symlink("epoch_2", filepath.Join(s.run(), "checkpoints", "latest")))
	s.until("a checkpoint reaches the bucket", func() bool { return s.pushed("checkpoints/epoch_2/w") })
	s.write("run/artifacts/model.onnx", "model")
	s.write("run/attempts/1/events.ndjson", "{1}\n{2}\n{torn no more}\n")
	s.write("run/attempts/1/output.log", "said")
	s.must(k.Finish(t.Context(), "output.log", "absent.json"))

	s.turn() // home
	if !s.bring() {
		t.Error("the end was not sent")
	}
	for rel, want := range map[string]string{"run/checkpoints/latest/w": "two", "run/artifacts/model.onnx": "model",
		"run/attempts/1/events.ndjson": "{1}\n{2}\n{torn no more}\n", "run/attempts/1/output.log": "said", "run/attempts/1/kubernetes.json": "of the runner"} {
		if got := s.read(rel); got != want {
			t.Errorf("at home %s is %q, want %q", rel, got, want)
		}
	}
	left, err := os.ReadDir(filepath.Join(s.run(), "checkpoints"))
	if err != nil || len(left) != 2 {
		t.Errorf("at home checkpoints has %v, want epoch_2 and latest (%v)", left, err)
	}
	// Retention holds in the bucket: task, list, weights of epoch 2, model, log, two parts of the spool.
	if n := s.bucket.objects(t); n != 7 {
		t.Errorf("%d objects are left in the bucket, want 7", n)
	}

	// The next attempt sends only what the bucket lacks.
	s.place.Attempt = 2
	s.write("run/attempts/2/task.json", "second task")
	before := s.bucket.count("")
	s.send(work.Input{From: data, Key: "sha256:f"}, work.Input{From: weights})
	if n := s.bucket.count("") - before; n != 2 {
		t.Errorf("a second attempt put %d things, want its task and its list of what it starts with", n)
	}
	s.must(s.place.Remove(t.Context()))
	if n := s.bucket.objects(t); n != 0 {
		t.Errorf("%d objects are left after Remove", n)
	}
}

// A bucket that is away delays nobody, and gets what it lacks when it is back.
func TestBucketAway(t *testing.T) {
	s := newSides(t)
	s.write("run/attempts/1/task.json", "task")
	s.send()
	k := s.keep()
	s.bucket.away.Store(true)
	s.write("run/checkpoints/epoch_1/w", "one")
	time.Sleep(1500 * time.Millisecond)
	if s.pushed("checkpoints/epoch_1/w") {
		t.Fatal("the bucket is not away")
	}
	time.AfterFunc(time.Second, func() { s.bucket.away.Store(false) })
	s.must(k.Finish(t.Context()))
	s.must(os.RemoveAll(filepath.Join(s.run(), "checkpoints")))
	if s.bring(); s.read("run/checkpoints/epoch_1/w") != "one" {
		t.Error("the checkpoint is lost")
	}
}

// A checkpoint that is replaced while it is sent: no list names an object that
// holds something else.
func TestReplacedWhileSent(t *testing.T) {
	s := newSides(t)
	s.write("run/attempts/1/task.json", "task")
	s.send()
	latest := filepath.Join(s.run(), "checkpoints", "latest.pth")
	replace := func(text string) {
		s.write("new", text)
		s.must(os.MkdirAll(filepath.Dir(latest), 0o755), os.Rename(filepath.Join(s.root, "new"), latest))
	}
	var once sync.Once
	var lists atomic.Int32
	s.bucket.hook = func(key, file string) {
		if file == latest {
			once.Do(func() { replace("the whole of it") })
		}
		if !strings.HasSuffix(key, "/out.json") {
			return
		}
		list, err := os.ReadFile(file)
		s.must(err)
		objects, err := s.bucket.List(context.Background(), "runs/r/pods/objects/")
		s.must(err)
		for _, o := range objects {
			sum := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
			if !strings.Contains(string(list), sum) {
				continue
			}
			lists.Add(1)
			at := filepath.Join(t.TempDir(), sum)
			s.must(s.bucket.Get(context.Background(), o.Key, at))
			text, err := os.ReadFile(at)
			s.must(err)
			if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != sum {
				t.Errorf("the list names %s, which holds %q", sum[:8], text)
			}
		}
	}
	k := s.keep()
	replace("half of it")
	s.until("the checkpoint reaches the bucket", func() bool { return s.pushed("checkpoints/latest.pth") })
	s.must(k.Finish(t.Context()))
	s.must(os.RemoveAll(filepath.Join(s.run(), "checkpoints")))
	if s.bring(); s.read("run/checkpoints/latest.pth") != "the whole of it" || lists.Load() == 0 {
		t.Errorf("at home: %q, %d objects looked at", s.read("run/checkpoints/latest.pth"), lists.Load())
	}
}

// A pod that is gone left what it had sent last.
func TestPodGone(t *testing.T) {
	s := newSides(t)
	s.write("run/attempts/1/task.json", "task")
	s.send()
	if s.bring() {
		t.Error("a pod that sent nothing has ended")
	}
	ctx, kill := context.WithCancel(t.Context())
	if _, err := s.place.Keep(ctx, s.run(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	s.write("run/checkpoints/epoch_1/w", "one")
	s.until("a checkpoint reaches the bucket", func() bool { return s.pushed("checkpoints/epoch_1/w") })
	kill()
	s.write("run/checkpoints/epoch_2/w", "two")
	s.must(os.RemoveAll(filepath.Join(s.run(), "checkpoints")))
	if s.bring() {
		t.Error("the attempt was not sent to its end")
	}
	if got := s.read("run/checkpoints/epoch_1/w") + s.read("run/checkpoints/epoch_2/w"); !strings.HasPrefix(got, "one(") {
		t.Errorf("at home: %s", got)
	}
	if ok, err := s.place.Started(t.Context()); !ok || err != nil {
		t.Errorf("started: %v, %v", ok, err)
	}
}

// What a bucket says is not trusted with other folders.
func TestHostileManifest(t *testing.T) {
	for _, text := range []string{
		`{"v":1,"files":[{"path":"../../x","parts":[{"sha256":"a","size":1}]}]}`,
		`{"v":1,"files":[],"links":{"checkpoints/latest":"../../etc"}}`,
		`{"v":1,"files":[],"links":{"/etc/x":"y"}}`,
		`{"v":2,"files":[]}`,
		`nonsense`,
	} {
		s := newSides(t)
		s.write("out.json", text)
		s.must(s.bucket.Put(t.Context(), "runs/r/pods/1/out.json", filepath.Join(s.root, "out.json")))
		if _, err := s.place.Bring(t.Context(), s.run()); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
