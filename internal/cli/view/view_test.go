package view_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/internal/golden"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func plan() *runner.Plan {
	counts := map[string]map[string]int{"train": {"cat": 80, "dog": 90}, "val": {"cat": 20, "dog": 22}}
	return &runner.Plan{
		Pipeline: "flowers", Changes: true,
		Targets: []string{"export.onnx"},
		Moves:   []runner.PlannedMove{{From: "train.old", To: "train.base"}},
		Steps: []runner.PlannedStep{
			{Address: "train.base", Kind: pipelines.KindTrain, Action: runner.ActionReuse, Reason: "Run 7 did exactly this."},
			{Address: "train.new", Kind: pipelines.KindTrain, Action: runner.ActionRun, Reason: "It was never run.", Adapter: "native", Model: "resnet18", Dataset: "flowers", Device: "cpu", License: "Apache-2.0",
				Settings: []runner.SettingNote{
					{Field: "optimizer.momentum", Value: 0.9, Origin: pipelines.OriginDefault, Kind: "inactive", Note: `optimizer.type is "adam"`},
					{Field: "scheduler.T_max", Value: 10, Origin: pipelines.OriginDefault, Kind: "derived", Note: "follows epochs"},
				}},
			{Address: "train.longer", Kind: pipelines.KindTrain, Action: runner.ActionResumeChange, Reason: "Only epochs changed.", Adapter: "native", Model: "convnet", Dataset: "flowers", Device: "cpu",
				Changes: []runner.Change{{Field: "epochs", Old: 10, New: 20, Resume: schema.Apply, Effect: "counts from epoch 11"}},
				Start:   &pipelines.Checkpoint{Path: ".runner/runs/a/checkpoints/latest", Epoch: 10}},
			{Address: `train.search["optimizer.type=adamw"]`, Kind: pipelines.KindTrain, Action: runner.ActionRetrain, Reason: "Its inputs changed.", Adapter: "native", Model: "convnet", Dataset: "flowers", Device: "cpu",
				Changes: []runner.Change{
					{Field: "config.optimizer.type", Old: "adam", New: "adamw", Resume: schema.Forbid},
					{Field: "seed", Old: nil, New: 7},
				}},
			{Address: "train.cut", Kind: pipelines.KindTrain, Action: runner.ActionResume, Reason: "Run 9 was interrupted after epoch 3."},
			{Address: "evaluate.holdout", Kind: pipelines.KindEvaluate, Action: runner.ActionReevaluate, Reason: "The dataset changed."},
			{Address: "export.onnx", Kind: pipelines.KindExport, Action: runner.ActionDecideLater, Reason: "Decided after train.new.",
				KnownAfter: []runner.KnownAfter{{Field: "checkpoint", Steps: []pipelines.Address{"train.new"}}}},
		},
		Datasets: []runner.PlannedDataset{{Name: "flowers", Previous: "sha256:old", Report: pipelines.DatasetReport{Format: "imagefolder", Fingerprint: "sha256:new", Classes: []string{"cat", "dog"}, Counts: counts, Splits: map[string]int{"train": 170, "val": 42}}}},
		Checks: []runner.PlannedCheck{
			{Address: "check.good", State: runner.CheckPassed, Values: []pipelines.Operand{{Expr: "train.base.metrics.accuracy", Value: "0.93"}}},
			{Address: "check.bad", State: runner.CheckFailed, Message: "accuracy is below 0.99"},
			{Address: "check.later", State: runner.CheckUnknown, KnownAfter: []pipelines.Address{"train.new"}},
		},
		Outputs: []runner.PlannedOutput{{Name: "accuracy", KnownAfter: []pipelines.Address{"train.new"}}, {Name: "old", Value: 0.93}, {Name: "key", Sensitive: true}},
	}
}

func TestPlan(t *testing.T) {
	var b bytes.Buffer
	view.Plan(&b, view.Style{}, plan())
	golden.Equal(t, "plan.golden", b.Bytes())
}

func TestPlanWithoutChanges(t *testing.T) {
	var b bytes.Buffer
	view.Plan(&b, view.Style{}, &runner.Plan{Pipeline: "p", Steps: []runner.PlannedStep{{Address: "train.a", Action: runner.ActionReuse}}})
	if !strings.Contains(b.String(), "No changes: 1 step up to date.") {
		t.Errorf("got %s", b.String())
	}
}

// story is an apply as notices: two epochs, a retry, a skipped export.
func story() []runner.Notice {
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	event := func(s int, e pipelines.Event) runner.Notice {
		return runner.Notice{Type: runner.NoticeStepEvent, Time: at(s), Address: "train.base", Event: &e}
	}
	progress := func(epoch int, step int64, loss, eta float64) pipelines.Event {
		return pipelines.Event{Progress: &pipelines.Progress{Epoch: epoch, Epochs: 2, Step: step, Steps: 40, Loss: loss, ImagesPerSecond: 512.4, ETASeconds: eta}}
	}
	validation := func(epoch int, accuracy float64) pipelines.Event {
		return pipelines.Event{Validation: &pipelines.Validation{Epoch: epoch, Split: "val", PrimaryName: "accuracy", PrimaryValue: accuracy, Loss: 1 - accuracy,
			Metrics: map[string]float64{"accuracy": accuracy, "top5": 1}, Classes: []string{"cat", "dog"},
			PerClass:        map[string]map[string]float64{"cat": {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 20}, "dog": {"precision": 0.7, "recall": 0.9, "f1": 0.79, "support": 22}},
			ConfusionMatrix: [][]int64{{16, 4}, {0, 22}}}}
	}
	metrics := func(epoch int, loss float64) pipelines.Event {
		return pipelines.Event{Metrics: &pipelines.Metrics{Epoch: epoch, Split: "train", Values: map[string]float64{"loss": loss}}}
	}
	result := &pipelines.Result{Best: &pipelines.Checkpoint{Epoch: 2}}
	return []runner.Notice{
		{Type: runner.NoticeApplyStarted, Time: at(0), Plan: plan()},
		{Type: runner.NoticeStepWaiting, Time: at(0), Address: "train.base", Message: "for a slot on this machine"},
		{Type: runner.NoticeStepStarted, Time: at(1), Address: "train.base", RunID: "R1", JobID: 3, Attempt: 1},
		event(2, progress(1, 10, 2.1, 40)), event(3, progress(1, 20, 1.9, 30)), event(13, progress(1, 40, 1.5, 20)),
		event(14, metrics(1, 1.5)), event(14, validation(1, 0.71)),
		event(15, pipelines.Event{Message: &pipelines.Message{Level: "warning", Text: "a hostile \x1b[31mname"}}),
		{Type: runner.NoticeStepRetry, Time: at(16), Address: "train.base", Message: "attempt 1 ran out of memory (oom); attempt 2 follows"},
		{Type: runner.NoticeStepStarted, Time: at(17), Address: "train.base", RunID: "R1", JobID: 3, Attempt: 2},
		event(18, pipelines.Event{Resumed: &pipelines.Resumed{Epoch: 1, GlobalStep: 40}}),
		event(19, progress(2, 40, math.NaN(), 0)), event(20, metrics(2, 1.1)), event(20, validation(2, 0.93)),
		{Type: runner.NoticeStepEnded, Time: at(21), Address: "train.base", Status: pipelines.StatusCompleted, RunID: "R1", Result: result},
		{Type: runner.NoticeStepStarted, Time: at(21), Address: "evaluate.holdout", RunID: "R2", JobID: 4, Attempt: 1},
		{Type: runner.NoticeStepEnded, Time: at(22), Address: "evaluate.holdout", Status: pipelines.StatusFailed, Cause: pipelines.CauseData, Message: "no test split"},
		{Type: runner.NoticeStepSkipped, Time: at(22), Address: "export.onnx", Message: "evaluate.holdout failed"},
		{Type: runner.NoticeCheck, Time: at(22), Check: &runner.PlannedCheck{Address: "check.good", State: runner.CheckPassed}},
	}
}

func result() runner.ApplyResult {
	return runner.ApplyResult{ApplyID: "A1", Status: pipelines.StatusFailed, Started: start, Ended: start.Add(82 * time.Second),
		Steps: []runner.StepOutcome{
			{Address: "train.base", Kind: pipelines.KindTrain, Action: runner.ActionRun, Status: pipelines.StatusCompleted, RunID: "R1", Dir: ".runner/runs/R1"},
			{Address: "train.old", Action: runner.ActionReuse, Status: pipelines.StatusCompleted},
			{Address: "evaluate.holdout", Action: runner.ActionRun, Status: pipelines.StatusFailed, RunID: "R2", Dir: ".runner/runs/R2"},
			{Address: "export.onnx", Action: runner.ActionRun, Status: pipelines.StatusSkipped},
		},
		Outputs: map[string]runner.OutputValue{"accuracy": {Value: 0.93}, "key": {Sensitive: true}},
	}
}

func TestPlainApply(t *testing.T) {
	var b bytes.Buffer
	v := view.NewPlain(&b, view.Style{})
	for _, n := range story() {
		v.Observe(n)
	}
	view.Result(&b, view.Style{}, result(), v.Best())
	golden.Equal(t, "plain.golden", b.Bytes())
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a step's message reached the terminal with its escape sequence")
	}
}

func TestLiveApply(t *testing.T) {
	for _, width := range []int{100, 80, 24} {
		now := start
		var b bytes.Buffer
		v := view.NewLive(&b, view.Style{}, func() int { return width }, func() time.Time { now = now.Add(time.Second); return now })
		for _, n := range story() {
			v.Observe(n)
		}
		v.Close()
		golden.Equal(t, map[int]string{100: "live.golden", 80: "live_80.golden", 24: "live_narrow.golden"}[width], bytes.ReplaceAll(b.Bytes(), []byte("\x1b"), []byte("ESC")))
		for _, line := range strings.Split(b.String(), "\n") {
			if strings.HasPrefix(line, "  train.base") && runewidth.StringWidth(line) >= width {
				t.Errorf("at %d columns a region line is %d wide and would wrap: %q", width, runewidth.StringWidth(line), line)
			}
		}
	}
}

func TestManyClassesAreSummarised(t *testing.T) {
	v := pipelines.Validation{Split: "val", Epoch: 3, PerClass: map[string]map[string]float64{}}
	for i := range 62 {
		name := string(rune('0' + i))
		v.Classes = append(v.Classes, name)
		v.PerClass[name] = map[string]float64{"f1": float64(i) / 62}
		row := make([]int64, 62)
		row[i] = 10
		row[(i+1)%62] = int64(i % 3)
		v.ConfusionMatrix = append(v.ConfusionMatrix, row)
	}
	var b bytes.Buffer
	view.Validation(&b, view.Style{Width: 80}, v)
	if !strings.Contains(b.String(), "… and 42 classes with a higher F1.") || !strings.Contains(b.String(), "TAKEN FOR") {
		t.Errorf("got\n%s", b.String())
	}
}

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		values []float64
		n      int
		want   string
	}{
		{nil, 5, ""},
		{[]float64{1, 1, 1}, 5, "▁▁▁"},
		{[]float64{9, 3, 2, 1, 0}, 3, "█▄▁"},
		{[]float64{math.NaN(), 0, math.Inf(1), 7}, 5, "▁█"},
	} {
		if got := view.Sparkline(c.values, c.n); got != c.want {
			t.Errorf("Sparkline(%v, %d) = %q, want %q", c.values, c.n, got, c.want)
		}
	}
}
