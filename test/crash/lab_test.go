package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/sqlite"
)

// lab is a pipeline's folder in which runners are started and killed.
type lab struct {
	t       *testing.T
	dir     string
	program []string // the runner's command line
	env     []string
	open    func() runner.Store // nil = the SQLite file in dir
}

func newLab(t *testing.T, pipeline string, env ...string) *lab {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: t.TempDir(), program: []string{exe}, env: append(os.Environ(), env...)}
	if err := os.WriteFile(filepath.Join(l.dir, "pipeline.hcl"), []byte(pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.endSteps)
	return l
}

// apply starts `apply` and returns it running, with its output.
func (l *lab) apply() (*exec.Cmd, *bytes.Buffer) {
	l.t.Helper()
	out := &bytes.Buffer{}
	cmd := exec.Command(l.program[0], append(l.program[1:], "apply", "--auto-approve", "--no-color")...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = l.dir, l.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return cmd, out
}

// finish applies to the end, which must be a good one.
func (l *lab) finish() {
	l.t.Helper()
	cmd, out := l.apply()
	if err := cmd.Wait(); err != nil {
		l.t.Fatalf("apply: %v\n%s", err, out)
	}
}

// steps lists the process groups of live steps of this lab.
func (l *lab) steps() []int {
	var pids []int
	procs, err := os.ReadDir("/proc")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", p.Name(), "environ"))
		if err == nil && bytes.Contains(env, []byte(spool.EnvAttemptDir+"="+l.dir)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (l *lab) endSteps() {
	for _, pid := range l.steps() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (l *lab) store() runner.Store {
	l.t.Helper()
	if l.open != nil {
		return l.open()
	}
	s, err := sqlite.Open(context.Background(), filepath.Join(l.dir, ".runner", "state.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// runs lists the run that attempts were made of, if there is one yet. A
// runner that was killed before it made an attempt may leave another behind.
func (l *lab) runs(s runner.Store) []pipelines.Run {
	l.t.Helper()
	runs, err := s.Runs(context.Background(), runner.RunFilter{})
	if err != nil {
		l.t.Fatal(err)
	}
	runs = slices.DeleteFunc(runs, func(r pipelines.Run) bool {
		attempts, err := s.Attempts(context.Background(), r.ID)
		if err != nil {
			l.t.Fatal(err)
		}
		return len(attempts) == 0
	})
	if len(runs) > 1 {
		l.t.Fatalf("%d runs, want the one run continued: %+v", len(runs), runs)
	}
	return runs
}

// rows are all metric rows of the one run, superseded ones too, by attempt and key.
func (l *lab) rows(superseded bool) map[string]float64 {
	l.t.Helper()
	s := l.store()
	defer s.Close()
	out := map[string]float64{}
	for _, r := range l.runs(s) {
		rows, err := s.Metrics(context.Background(), runner.MetricFilter{RunID: r.ID, IncludeSuperseded: superseded})
		if err != nil {
			l.t.Fatal(err)
		}
		for _, m := range rows {
			key := fmt.Sprintf("%s/%s/%s@%d.%d", m.Split, m.Name, m.Class, m.Epoch, m.GlobalStep)
			if superseded {
				key += fmt.Sprintf("#%d", m.Attempt)
			}
			if _, twice := out[key]; twice {
				l.t.Errorf("two rows of %s", key)
			}
			out[key] = m.Value
		}
	}
	return out
}

// round is one training, killed again and again.
type round struct {
	*lab
	random *rand.Rand
	within time.Duration // each kill comes within this time after a start
	acked  map[string]float64
	kills  map[string]int
}

// kill starts an apply and kills it, its step, or both, and reports whether
// the training was over before. What the store held then must be there ever after.
func (r *round) kill() (over bool) {
	r.t.Helper()
	cmd, out := r.apply()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			r.t.Fatalf("apply: %v\n%s", err, out)
		}
		return true
	case <-time.After(time.Duration(r.random.Int64N(int64(r.within)))):
	}
	victim := []string{"parent", "child", "both"}[r.random.IntN(3)]
	killParent := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	switch victim {
	case "parent":
		killParent()
	case "child":
		r.endSteps()
	default:
		r.endSteps()
		killParent()
		r.endSteps() // one that was being started
	}
	r.kills[victim]++
	<-ended // after a child's death the apply ends by itself, or tries again
	r.checkpointsAreWhole()
	maps.Copy(r.acked, r.rows(true))
	return false
}

// checkpointsAreWhole verifies every visible checkpoint against its manifest.
func (l *lab) checkpointsAreWhole() {
	l.t.Helper()
	paths, err := filepath.Glob(filepath.Join(l.dir, ".runner", "runs", "*", "checkpoints", "[^.]*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range paths {
		// A live step may move a link, or retire a checkpoint, while it is being read.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		} else if len(l.steps()) > 0 {
			continue
		}
		if err := whole(path); err != nil && !gone(path) {
			l.t.Errorf("unreadable checkpoint: %v", err)
		}
	}
}

func gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func whole(path string) error {
	b, err := os.ReadFile(filepath.Join(path, "manifest.json"))
	if err != nil {
		return err
	}
	var m struct {
		Files map[string]struct {
			SHA256 string `json:"sha256"`
		} `json:"files"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(m.Files) == 0 {
		return fmt.Errorf("%s lists no files", path)
	}
	for name, want := range m.Files {
		b, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want.SHA256 {
			return fmt.Errorf("%s/%s does not fit its SHA-256", path, name)
		}
	}
	return nil
}

// nothingLost: what the store held at any time it holds now, and every whole
// line of every spool is in the store.
func (r *round) nothingLost() {
	r.t.Helper()
	now := r.rows(true)
	for key, v := range r.acked {
		if got, ok := now[key]; !ok || got != v && got == got {
			r.t.Errorf("acknowledged row %s = %v is %v now (there: %v)", key, v, got, ok)
		}
	}
	s := r.store()
	defer s.Close()
	runs := r.runs(s)
	if len(runs) == 0 {
		r.t.Fatal("no run has an attempt")
	}
	filed := map[runner.EventID]bool{}
	for after := (runner.EventID{}); ; {
		events, err := s.Events(context.Background(), runs[0].ID, after, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			after = runner.EventID{Attempt: e.Attempt, Seq: e.Seq}
			filed[after] = true
		}
	}
	for _, e := range spooled(r.t, runs[0].Dir) {
		if e.Type != pipelines.EventProgress && !filed[runner.EventID{Attempt: e.Attempt, Seq: e.Seq}] {
			r.t.Errorf("event %d of attempt %d (%s) stands in its spool and not in the store", e.Seq, e.Attempt, e.Type)
		}
	}
}

// storeIsSound asks SQLite to check its own file.
func (l *lab) storeIsSound() {
	l.t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(l.dir, ".runner", "state.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		l.t.Errorf("integrity_check of the store: %s, %v", verdict, err)
	}
}

func spooled(t *testing.T, runDir string) []pipelines.Event {
	t.Helper()
	var all []pipelines.Event
	files, err := filepath.Glob(filepath.Join(runDir, "attempts", "*", spool.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		reader := spool.NewReader(file, 0, 0)
		for {
			events, err := reader.Next()
			if err != nil {
				t.Errorf("a line that is no event: %v", err)
				continue
			}
			if len(events) == 0 {
				break
			}
			all = append(all, events...)
		}
	}
	return all
}

// weights is the hash of the trained values in the run's latest checkpoint.
func (l *lab) weights() string {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, ".runner", "runs", "*", "checkpoints", "latest", "weights.*"))
	if err != nil || len(files) == 0 {
		l.t.Fatalf("no weights: %v", err)
	}
	slices.Sort(files)
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			l.t.Fatal(err)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// forget removes the state, for the next round.
func (l *lab) forget() {
	l.t.Helper()
	l.endSteps()
	if err := os.RemoveAll(filepath.Join(l.dir, ".runner")); err != nil {
		l.t.Fatal(err)
	}
}

// sameRows compares what is visible with an uninterrupted training's.
func sameRows(t *testing.T, want, got map[string]float64) {
	t.Helper()
	var diff []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[key]; !ok {
			diff = append(diff, key+" is missing")
		} else if v != want[key] {
			diff = append(diff, fmt.Sprintf("%s is %v, not %v", key, v, want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			diff = append(diff, key+" should not be there")
		}
	}
	if len(diff) > 0 {
		t.Errorf("%d visible rows differ from those of an uninterrupted training:\n%s", len(diff), strings.Join(diff[:min(10, len(diff))], "\n"))
	}
}
