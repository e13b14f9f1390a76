package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/internal/golden"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func (h *house) saved(p *pipelines.Pipeline) string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "flowers.plan")
	if err := runner.SavePlan(path, h.plan(p, runner.PlanOptions{})); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *house) restore(path string, p *pipelines.Pipeline) (*runner.Plan, error) {
	h.t.Helper()
	f, err := runner.LoadPlanFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Restore(h.t.Context(), f, p)
}

func TestPlanFile(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"), evaluate("holdout", "train.a"))
	p.Variables = map[string]pipelines.Variable{"epochs": {Value: 4.0}, "token": {Value: nil, Sensitive: true}}
	path := h.saved(p)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	f, err := runner.LoadPlanFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Variables["epochs"] != 4.0 || len(f.Variables) != 1 || len(f.Sensitive) != 1 || !bytes.Equal(f.Sources[0].Text, p.Sources[0].Text) {
		t.Errorf("file holds variables %v, sensitive %v", f.Variables, f.Sensitive)
	}
	plan, err := h.Restore(t.Context(), f, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Apply(t.Context(), plan, runner.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	// The state has moved on: the same file does not fit any more.
	_, err = h.restore(path, p)
	wantCode(t, err, pipelines.CodeStale)
	_, err = h.Apply(t.Context(), &f.Plan, runner.ApplyOptions{})
	wantCode(t, err, pipelines.CodeInvalid)
}

func TestStalePlanFile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(h *house, p *pipelines.Pipeline)
		code   pipelines.Code
		says   string
	}{
		{"nothing changed", func(*house, *pipelines.Pipeline) {}, "", ""},
		{"data changed", func(h *house, _ *pipelines.Pipeline) { h.data.report.Fingerprint = "sha256:d2" }, pipelines.CodeStale, `dataset "flowers" changed`},
		{"lock file changed", func(h *house, _ *pipelines.Pipeline) {
			os.WriteFile(filepath.Join(h.dir, runner.LockFileName), []byte("dataset \"x\" {\n  fingerprint = \"y\"\n}\n"), 0o644)
		}, pipelines.CodeStale, ".runner.lock.hcl changed"},
		{"a description changed", func(_ *house, p *pipelines.Pipeline) { p.Description = "new" }, "", ""},
		{"another declaration", func(h *house, p *pipelines.Pipeline) { *p = *h.pipeline(train2("a")) }, pipelines.CodeStale, "train.a would now be done differently"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			p := h.pipeline(train("a"))
			path := h.saved(p)
			tt.change(h, p)
			_, err := h.restore(path, p)
			if pipelines.CodeOf(err) != tt.code || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want code %q saying %q", err, tt.code, tt.says)
			}
		})
	}
}

func TestPlanFileErrors(t *testing.T) {
	_, err := runner.LoadPlanFile(filepath.Join(t.TempDir(), "none"))
	wantCode(t, err, pipelines.CodeNotFound)
	path := filepath.Join(t.TempDir(), "main.hcl")
	os.WriteFile(path, []byte("pipeline \"x\" {}"), 0o644)
	_, err = runner.LoadPlanFile(path)
	wantCode(t, err, pipelines.CodeInvalid)
}

var runID = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{8}`)

// The JSON of a plan is for programs: its names do not change within a
// version, and it holds no secret.
func TestPlanJSON(t *testing.T) {
	h := newHouse(t)
	h.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	h.mustApply(h.pipeline(train("a"), evaluate("holdout", "train.a")))
	s := train("a")
	s.change = pipelines.OnChangeResume
	s.spec.Train.Epochs = 8
	s.spec.Train.Config["label_smoothing"] = pipelines.Setting{Value: 0.2, Origin: pipelines.OriginMatrix, Replaced: 0.3}
	s.spec.SecretEnv = map[string]pipelines.Secret{"TOKEN": pipelines.NewSecret("hunter2")}
	p := h.pipeline(s, evaluate("holdout", "train.a"))
	p.Checks = []pipelines.Check{accuracyCheck("train.a", 0.5)}
	p.Outputs = []pipelines.Output{{Name: "one", Evaluate: func(pipelines.Results) (any, []pipelines.Address, error) { return 1.0, nil, nil }}}
	b, err := json.MarshalIndent(h.plan(p, runner.PlanOptions{}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("hunter2")) {
		t.Error("the plan holds a secret")
	}
	b = bytes.ReplaceAll(runID.ReplaceAll(b, []byte("RUN")), []byte(h.dir), []byte("DIR"))
	golden.Equal(t, "plan.json", append(b, '\n'))
}

func TestLockFile(t *testing.T) {
	h := newHouse(t)
	p := h.pipeline(train("a"))
	h.mustApply(p)
	lock, hash, err := runner.ReadLockFile(h.dir)
	if err != nil || hash == "" {
		t.Fatal(hash, err)
	}
	if lock.Adapters["fake"] != (runner.AdapterPin{Version: "1", Numerics: 1}) || lock.Datasets["flowers"] != "sha256:d1" {
		t.Errorf("lock %+v", lock)
	}
	h.data.report.Fingerprint = "sha256:d2"
	h.adapt.info.Version = "2"
	plan := h.plan(p, runner.PlanOptions{})
	if len(plan.Problems) != 2 || !strings.Contains(plan.Problems[1].Detail, `Dataset "flowers" is pinned as sha256:d1 and is now sha256:d2`) {
		t.Errorf("problems %v", plan.Problems)
	}
	// What cannot be written plainly survives too.
	odd := runner.LockFile{Weights: map[string]string{"a \"b\"\\${x}\n%{y}": "sha256:1"}}
	if err := runner.WriteLockFile(h.dir, odd); err != nil {
		t.Fatal(err)
	}
	if back, _, err := runner.ReadLockFile(h.dir); err != nil || back.Weights["a \"b\"\\${x}\n%{y}"] != "sha256:1" {
		t.Errorf("read back %+v, %v", back, err)
	}
	os.WriteFile(filepath.Join(h.dir, runner.LockFileName), []byte("<<<<<<< ours"), 0o644)
	_, err = h.Plan(t.Context(), p, runner.PlanOptions{})
	wantCode(t, err, pipelines.CodeInvalid)
	os.WriteFile(filepath.Join(h.dir, runner.LockFileName), bytes.Repeat([]byte("["), 100000), 0o644)
	_, err = h.Plan(t.Context(), p, runner.PlanOptions{})
	wantCode(t, err, pipelines.CodeInvalid)
}

// Pretrained weights are pinned once they were used, and asked for by that
// hash from then on; the pin alone trains nothing anew.
func TestPretrainedPin(t *testing.T) {
	h := newHouse(t)
	h.exec.play = func(_ context.Context, job runner.Job, emit func(pipelines.Event)) runner.Exit {
		a := applied(job.Task)
		a.Environment = map[string]string{"pretrained_sha256": "abc"}
		emit(pipelines.Event{Type: pipelines.EventConfigApplied, ConfigApplied: a})
		emit(completed(job.Task))
		return runner.Exit{}
	}
	s := train("a")
	s.spec.Model = &pipelines.ModelSpec{Name: "net", ImageSize: 32, Pretrained: true}
	h.mustApply(h.pipeline(s))
	lock, _, err := runner.ReadLockFile(h.dir)
	if err != nil || lock.Weights["fake:net"] != "sha256:abc" {
		t.Errorf("lock %+v, %v", lock, err)
	}
	if plan := h.plan(h.pipeline(s), runner.PlanOptions{}); plan.Changes {
		t.Error("the pin changed the plan")
	}
	s.spec.Train.Seed++
	h.mustApply(h.pipeline(s))
	if got := h.exec.jobs[1].Task.Model.PretrainedSHA256; h.exec.jobs[0].Task.Model.PretrainedSHA256 != "" || got != "abc" {
		t.Errorf("the second task asks for %q", got)
	}
}
