package s3_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/runner/blob/s3"
)

// pipeline trains long enough on CPU to be killed in the middle.
const pipeline = `
pipeline "p" {}
artifacts "s3" {
  bucket = "models"
  prefix = "team/vision"
}
dataset "glyphs" {
  format = "imagefolder"
  path   = "%s"
}
model "m" {
  adapter = "native"
  name    = "convnet"
  task    = "image_classification"
}
train "base" {
  model      = model.m
  dataset    = dataset.glyphs
  epochs     = %d
  batch_size = 32
  checkpoint {
    keep_last = 2
  }
}
`

// machine is a folder with a pipeline, its state and a cache of its own.
type machine struct {
	t   *testing.T
	dir string
	env []string
}

func newMachine(t *testing.T, s *server, data string) *machine { return newMachineFor(t, s, data, 6) }

func newMachineFor(t *testing.T, s *server, data string, epochs int) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(m.dir, "main.hcl"), []byte(fmt.Sprintf(pipeline, data, epochs)), 0o644); err != nil {
		t.Fatal(err)
	}
	m.env = append(os.Environ(), append(s.env(), "XDG_CACHE_HOME="+filepath.Join(m.dir, "cache"), "RUNNER_ORT_LIB="+library(t))...)
	return m
}

var libraryPath = regexp.MustCompile(`at (\S+/libonnxruntime\S*)`)

// library is the ONNX Runtime library that this machine has.
func library(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(programs.runner, "doctor", "--json").Output()
	found := libraryPath.FindSubmatch(out)
	if found == nil {
		t.Skipf("no ONNX Runtime library is found (make ort): %v\n%s", err, out)
	}
	return string(found[1])
}

func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(programs.runner, args...)
	cmd.Dir, cmd.Env = m.dir, m.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (m *machine) run(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("runner %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func glyphs(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "glyphs")
	if out, err := exec.Command(programs.runner, "dataset", "sample", "glyphs", dir, "--per-class=40", "--image-size=32").CombinedOutput(); err != nil {
		t.Fatalf("glyphs: %v\n%s", err, out)
	}
	return dir
}

// serve starts a server there and says where it is.
func (m *machine) serve(args ...string) (url string) {
	m.t.Helper()
	m.env = append(m.env, "RUNNER_TOKEN=token-of-the-s3-tests")
	cmd := m.command(append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, said := strings.Cut(strings.TrimSpace(line), " on ")
	if !said {
		m.t.Fatalf("the server does not say where it is: %q, %v", line, err)
	}
	return url
}

// steps kills what trains in a machine's folder.
func (m *machine) killSteps() {
	m.t.Helper()
	files, err := filepath.Glob(filepath.Join(m.dir, ".runner", "runs", "*", "attempts", "*", "process.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, file := range files {
		var p struct {
			Process struct {
				PID int `json:"pid"`
			} `json:"process"`
		}
		data, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(data, &p) == nil && p.Process.PID > 1 {
			_ = syscall.Kill(-p.Process.PID, syscall.SIGKILL)
		}
	}
}

// A machine dies after a checkpoint of its training reached the bucket; another
// one, which has nothing but the sources and the data, goes on from there.
func TestAnotherMachineGoesOn(t *testing.T) {
	server := startServer(t)
	data := glyphs(t)
	a, b := newMachine(t, server, data), newMachine(t, server, data)
	first := a.command("apply", "--auto-approve")
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	blobs := server.open(t, s3.Config{Prefix: "team/vision"})
	epochs := func() int { return strings.Count(a.record(blobs), `"path":"checkpoints/epoch_`) }
	deadline := time.Now().Add(3 * time.Minute)
	for epochs() == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("no checkpoint reached the bucket; apply said:\n%s", said.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = syscall.Kill(-first.Process.Pid, syscall.SIGKILL)
	_ = first.Wait()
	a.killSteps()

	plan := b.run("plan")
	if !strings.Contains(plan, "~ train.base: resume") {
		t.Fatalf("the other machine does not plan to go on:\n%s", plan)
	}
	out := b.run("apply", "--auto-approve")
	if !strings.Contains(out, "goes on after epoch") || !strings.Contains(out, "train.base: completed") {
		t.Errorf("the other machine did not go on:\n%s", out)
	}
	// Retention holds in the bucket too, and the model has its name there.
	record := a.record(blobs)
	if n := strings.Count(record, `/manifest.json"`); n < 1 || n > 3 {
		t.Errorf("%d checkpoints are archived, want the last 2 and the best", n)
	}
	list, err := blobs.List(t.Context(), "runs/")
	if err != nil {
		t.Fatal(err)
	}
	model := false
	for _, o := range list {
		model = model || strings.HasSuffix(o.Key, "/artifacts/model.onnx")
		if sum, isObject := strings.CutPrefix(filepath.ToSlash(o.Key[strings.LastIndex(o.Key, "/objects/")+1:]), "objects/"); isObject && !strings.Contains(record, sum) {
			t.Errorf("%s is archived and in no record", o.Key)
		}
	}
	if !model {
		t.Error("model.onnx was not archived")
	}
	// And the first machine finds its training done.
	if out := a.run("apply", "--auto-approve"); !strings.Contains(out, "No changes") {
		t.Errorf("the first machine does not find what the other one did:\n%s", out)
	}
}

// record is the text of the one archived run's record.
func (m *machine) record(blobs *s3.Blobs) string {
	m.t.Helper()
	list, err := blobs.List(m.t.Context(), "runs/")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, o := range list {
		if strings.HasSuffix(o.Key, "/run.json") {
			file := filepath.Join(m.t.TempDir(), "run.json")
			if err := blobs.Get(m.t.Context(), o.Key, file); err != nil {
				return "" // replaced meanwhile
			}
			data, err := os.ReadFile(file)
			if err != nil {
				m.t.Fatal(err)
			}
			return string(data)
		}
	}
	return ""
}

// outage is how long the bucket is away; 0 = until training has ended.
var outage = flag.Duration("outage", 0, "how long the bucket is away in TestOutageDelaysNothing; 0 = until training has ended")

// The bucket goes away in the middle of a training: no step waits for it, and
// what training made arrives when the bucket is back.
func TestOutageDelaysNothing(t *testing.T) {
	server := startServer(t)
	epochs := 6
	if *outage > 0 {
		epochs = 20_000 // cancelled once the bucket is back
	}
	m := newMachineFor(t, server, glyphs(t), epochs)
	cmd := m.command("apply", "--auto-approve")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	blobs := server.open(t, s3.Config{Prefix: "team/vision"})
	for start := time.Now(); !strings.Contains(m.record(blobs), "checkpoints/epoch_"); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > 2*time.Minute {
			_ = cmd.Process.Kill()
			t.Fatalf("no checkpoint reached the bucket; apply said:\n%s\nrecord: %s", said.String(), m.record(blobs))
		}
	}
	server.stop()
	away := time.Now()
	deadline := away.Add(*outage + 5*time.Minute)
	var last, longest time.Duration // since the bucket went away; between two events
	var size int64
	for !m.completed() && (*outage == 0 || time.Since(away) < *outage) {
		if time.Now().After(deadline) {
			t.Fatalf("training waits for the bucket:\n%s", said.String())
		}
		if now := m.spoolSize(); now != size {
			longest = max(longest, time.Since(away)-last)
			last, size = time.Since(away), now
		}
		time.Sleep(50 * time.Millisecond)
	}
	server.start()
	t.Logf("the bucket was away for %v; the longest time without an event was %v", time.Since(away).Round(time.Second), longest.Round(time.Millisecond))
	if longest > 15*time.Second {
		t.Errorf("nothing was reported for %v while the bucket was away", longest)
	}
	want := `"status":"completed"`
	if *outage > 0 { // Ctrl-C: what there is by then is archived
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGINT)
		want = `"status":"cancelled"`
	}
	if err := cmd.Wait(); err != nil && *outage == 0 {
		t.Fatalf("%v\n%s", err, said.String())
	}
	record := m.record(blobs)
	if !strings.Contains(record, want) || *outage == 0 && !strings.Contains(record, "artifacts/model.onnx") {
		t.Errorf("after the outage the archive lacks something; apply said:\n%s", said.String())
	}
	newest, err := os.Readlink(m.glob("checkpoints/latest"))
	if err != nil || !strings.Contains(record, "checkpoints/"+newest+"/manifest.json") {
		t.Errorf("the last checkpoint %s is not archived (%v)", newest, err)
	}
	if !strings.Contains(said.String(), "Archive is behind") {
		t.Errorf("apply did not say that the archive is behind:\n%s", said.String())
	}
}

// glob is a path in the folder of the one run.
func (m *machine) glob(rel string) string {
	files, _ := filepath.Glob(filepath.Join(m.dir, ".runner", "runs", "*", rel))
	if len(files) == 0 {
		return ""
	}
	return files[0]
}

func (m *machine) spoolSize() int64 {
	info, err := os.Stat(m.glob("attempts/1/events.ndjson"))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (m *machine) completed() bool {
	data, _ := os.ReadFile(m.glob("attempts/1/events.ndjson"))
	return bytes.Contains(data, []byte(`"state":"completed"`))
}

// A server keeps what it is handed in the bucket that its operator allows;
// another machine finds it there, and what names another place is refused.
func TestAServerKeepsInTheBucketThatItsOperatorAllows(t *testing.T) {
	server := startServer(t)
	data := glyphs(t)
	serving, other := newMachineFor(t, server, "glyphs", 1), newMachineFor(t, server, data, 1)
	url := serving.serve("--data-root", filepath.Dir(data), "--allow-artifacts", "s3,bucket=models,prefix=team/vision")
	if out := serving.run("apply", "--server", url, "--auto-approve"); !strings.Contains(out, "train.base: completed") {
		t.Fatalf("apply said:\n%s", out)
	}
	if record := serving.record(server.open(t, s3.Config{Prefix: "team/vision"})); !strings.Contains(record, `"status":"completed"`) || !strings.Contains(record, "artifacts/model.onnx") {
		t.Errorf("the bucket lacks something: %s", record)
	}
	if out := other.run("apply", "--auto-approve"); !strings.Contains(out, "taken over") || !strings.Contains(out, "No changes") {
		t.Errorf("another machine does not find it:\n%s", out)
	}
	main := filepath.Join(serving.dir, "main.hcl")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(main, bytes.Replace(text, []byte("team/vision"), []byte("team"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := serving.command("apply", "--server", url, "--auto-approve").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("--allow-artifacts s3,prefix=VALUE")) {
		t.Errorf("another prefix: %v\n%s", err, out)
	}
}
