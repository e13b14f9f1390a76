package step

import (
	"fmt"
	"os"
	"testing"

	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/pipelines"
)

func TestMemoryThatRunsOutIsACauseOfItsOwn(t *testing.T) {
	path, err := ort.Find()
	if err != nil {
		t.Skipf("needs the ONNX Runtime library: %v", err)
	}
	rt, err := ort.Open(path)
	must(t, err)
	_, err = rt.NewTensor(ort.Float32, 8_000_000, 8_000_000) // larger than any address space
	if got := cause(fmt.Errorf("train: %w", err)); got != pipelines.CauseOOM {
		t.Errorf("cause %q of %v", got, err)
	}
}

func TestTrainThenEvaluateThenExport(t *testing.T) {
	task := trainTask(t, nil)
	events := run(t, task)
	r := result(t, events)
	if r.State != pipelines.StatusCompleted {
		t.Fatalf("state %s: %s", r.State, r.Error)
	}
	if events[0].ConfigApplied == nil {
		t.Errorf("the first event is %+v, want config_applied", events[0])
	}
	if r.Best == nil || r.Latest == nil || r.Best.SHA256 == "" || r.Latest.Epoch != 2 {
		t.Errorf("best %+v, latest %+v", r.Best, r.Latest)
	}
	if len(r.Artifacts) != 1 || r.Artifacts[0].Name != "model.onnx" || r.Artifacts[0].Size == 0 {
		t.Fatalf("artifacts %+v", r.Artifacts)
	}
	if _, ok := r.PerClass["bright"]["f1"]; !ok {
		t.Errorf("per-class metrics %v", r.PerClass)
	}

	for _, e := range events {
		if e.Validation == nil {
			continue
		}
		c := e.Validation.PRCurves["bright"]
		if n := len(c.Recall); n == 0 || c.Recall[n-1] != 1 || len(c.Precision) != n || len(c.Thresholds) != n || c.AP <= 0 {
			t.Errorf("epoch %d: precision-recall curve %+v", e.Validation.Epoch, c)
		}
	}

	eval := task
	eval.Kind, eval.Train = pipelines.KindEvaluate, nil
	eval.Evaluate = &pipelines.EvaluateSpec{Checkpoint: *r.Best, Split: "val"}
	e := result(t, run(t, eval))
	if e.State != pipelines.StatusCompleted || e.Metrics["accuracy"] != r.Metrics["accuracy"] {
		t.Errorf("evaluate: %s %s, accuracy %v; training said %v", e.State, e.Error, e.Metrics["accuracy"], r.Metrics["accuracy"])
	}
	eval.Evaluate.Split = "test"
	if e := result(t, run(t, eval)); e.State != pipelines.StatusFailed || e.Cause != pipelines.CauseConfig {
		t.Errorf("a split without images: %+v", e)
	}

	export := task
	export.Kind, export.Train, export.RunDir = pipelines.KindExport, nil, t.TempDir()
	export.Export = &pipelines.ExportSpec{Checkpoint: *r.Best, Format: "onnx", Precision: "fp32"}
	x := result(t, run(t, export))
	if x.State != pipelines.StatusCompleted || len(x.Artifacts) != 1 || x.Artifacts[0].SHA256 != r.Artifacts[0].SHA256 {
		t.Errorf("export: %+v, want the file that training left (%s)", x, r.Artifacts[0].SHA256)
	}
	must(t, os.WriteFile(r.Best.Path+"/weights.safetensors", []byte("damaged"), 0o600))
	if x := result(t, run(t, export)); x.State != pipelines.StatusFailed {
		t.Errorf("export of a damaged checkpoint: %s", x.State)
	}
}
