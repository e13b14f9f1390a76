package report_test

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/internal/report"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// hostile is a class name that would be markup if it were not escaped.
const hostile = `<script>alert("x")</script>`

func sampleData(t *testing.T) report.Data {
	t.Helper()
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	classes := []string{"daisy", "rose", hostile, "tulip"}
	dir := t.TempDir()
	var samples []pipelines.SamplePrediction
	for i := range 6 {
		path := filepath.Join(dir, string(rune('a'+i))+".png")
		writeImage(t, path, 40+20*i, 64)
		samples = append(samples, pipelines.SamplePrediction{Path: path, Label: i % 4, Prediction: (i * i) % 4, Confidence: 0.5 + 0.07*float64(i), Loss: 3 / float64(i+1)})
	}
	samples = append(samples, pipelines.SamplePrediction{Path: filepath.Join(dir, "gone.png"), Label: 0, Prediction: 1, Confidence: 0.9, Loss: 7})
	var rows []runner.MetricRow
	for epoch := 1; epoch <= 12; epoch++ {
		e := float64(epoch)
		rows = append(rows,
			runner.MetricRow{Name: "loss", Split: "train", Epoch: epoch, Value: 2.2*math.Exp(-e/4) + 0.08},
			runner.MetricRow{Name: "loss", Split: "val", Epoch: epoch, Value: 2.3*math.Exp(-e/4) + 0.2 + 0.01*e},
			runner.MetricRow{Name: "accuracy", Split: "val", Epoch: epoch, Value: 1 - 0.8*math.Exp(-e/3)},
			runner.MetricRow{Name: "learning_rate", Split: "train", Epoch: epoch, Value: 1e-3 * (1 + math.Cos(math.Pi*e/12)) / 2},
		)
	}
	rows = append(rows, runner.MetricRow{Name: "loss", Split: "train", Epoch: 13, Value: math.NaN()})
	perClass := map[string]map[string]float64{}
	for i, c := range classes {
		perClass[c] = map[string]float64{"precision": 0.99 - 0.05*float64(i), "recall": 0.9, "f1": 0.94 - 0.03*float64(i), "support": 50}
	}
	config := pipelines.Config{
		"optimizer.type":          {Value: "adamw", Origin: pipelines.OriginConfig},
		"optimizer.weight_decay":  {Value: 0.05, Origin: pipelines.OriginPreset},
		"optimizer.momentum":      {Value: 0.9, Origin: pipelines.OriginDefault, Inactive: `optimizer.type is "adamw"`},
		"mixed_precision":         {Value: true, Origin: pipelines.OriginPreset},
		"scheduler.T_max":         {Value: int64(12), Origin: pipelines.OriginDefault, Derived: "epochs"},
		"optimizer.learning_rate": {Value: 1e-3, Origin: pipelines.OriginMatrix, Replaced: 3e-4},
	}
	return report.Data{
		Run: pipelines.Run{ID: "01JD0Q6T", JobID: 4, Pipeline: "flowers", Address: `train.search["optimizer.type=adamw"]`, Status: pipelines.StatusCompleted,
			Adapter: "native", Model: "resnet18", TaskType: "image_classification", ContentKey: "sha256:0123456789abcdef", Attempts: 2,
			Started: start, Ended: start.Add(83 * time.Second),
			Result: &pipelines.Result{Best: &pipelines.Checkpoint{Name: "best", Epoch: 11}}},
		Attempts: []pipelines.Attempt{
			{Number: 1, Status: pipelines.StatusFailed, Error: "killed", Started: start, Ended: start.Add(20 * time.Second)},
			{Number: 2, Status: pipelines.StatusCompleted, Started: start.Add(21 * time.Second), Ended: start.Add(83 * time.Second), Applied: &pipelines.ConfigApplied{
				Proof:       "objects",
				Values:      map[string]any{"optimizer.type": "adamw", "optimizer.weight_decay": 0.01, "optimizer.learning_rate": 0.001, "scheduler.T_max": 12.0, "mixed_precision": false},
				Unsupported: map[string]string{"mixed_precision": "the cpu has none"},
				Attributes:  map[string]any{"epochs": 12.0, "batch_size": 64.0},
				Environment: map[string]string{"onnxruntime": "1.32.0", "provider": "CPUExecutionProvider", "threads": "2", "isa": "AVX-512"},
			}},
		},
		Metrics: rows,
		Validations: []pipelines.Validation{{Epoch: 11, Split: "val", PrimaryName: "accuracy", PrimaryValue: 0.93, Loss: 0.31,
			Metrics: map[string]float64{"accuracy": 0.93, "top5_accuracy": 1}, PerClass: perClass, Classes: classes,
			ConfusionMatrix: [][]int64{{48, 2, 0, 0}, {1, 45, 4, 0}, {0, 3, 47, 0}, {0, 0, 0, 50}}, Samples: samples,
			PRCurves: map[string]pipelines.PRCurve{
				"rose":  {AP: 0.91, Thresholds: []pipelines.Float{0.9, 0.5}, Precision: []pipelines.Float{1, 0.75}, Recall: []pipelines.Float{0.6, 1}},
				hostile: {AP: 0.4, Thresholds: []pipelines.Float{0.9}, Precision: []pipelines.Float{0.4}, Recall: []pipelines.Float{1}},
			}}},
		Checkpoints: []pipelines.Checkpoint{{Name: "best", Path: "checkpoints/best", SHA256: "sha256:aa", Size: 44_000_000, Epoch: 11, GlobalStep: 1100}},
		Artifacts:   []pipelines.Artifact{{Name: "model.onnx", Path: "artifacts/model.onnx", SHA256: "sha256:bb", Size: 44_700_000}},
		Messages:    []runner.MessageRow{{Message: pipelines.Message{Level: "warning", Text: "environment differs: threads 2 -> 4"}}},
		Spec:        &pipelines.Spec{Train: &pipelines.TrainSpec{Epochs: 12, BatchSize: 64, LearningRate: 1e-3, Seed: 7, Device: "auto", Config: config}},
		Dataset: &pipelines.DatasetReport{Name: "flowers", Path: "data/flowers", Format: "imagefolder", Fingerprint: "sha256:cc", Classes: classes, Images: 1000, Bytes: 5 << 20,
			MinSize: [2]int{64, 64}, MaxSize: [2]int{500, 375}, Splits: map[string]int{"train": 800, "val": 200}, Counts: map[string]map[string]int{"train": {"daisy": 200, "rose": 200, hostile: 200, "tulip": 200}, "val": {"daisy": 50, "rose": 50, hostile: 50, "tulip": 50}}},
		Version: "0.1.0", Now: start.Add(84 * time.Second),
	}
}

func writeImage(t *testing.T, path string, w, h int) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{uint8(x * 5), uint8(y * 3), uint8(x * y), 255})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func render(t *testing.T) string {
	t.Helper()
	text, err := report.Render(sampleData(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReportShowsEveryPart(t *testing.T) {
	html := render(t)
	for _, want := range []string{
		"train.search[&#34;optimizer.type=adamw&#34;]", "93.0 %", "<svg", "Confusion matrix", "Most confused",
		"weakest first", "data:image/jpeg;base64,", "cannot be shown", "inactive: optimizer.type is", "follows epochs",
		"replaced 0.0003", "CPUExecutionProvider", "AVX-512", "sha256:cc", "model.onnx", "threads 2 -&gt; 4", "2 attempts",
		"Precision and recall", "rose, average precision 0.91", `aria-label="precision over recall"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

func TestReportMarksAppliedValuesThatDiffer(t *testing.T) {
	row := regexp.MustCompile(`<tr class="differs">.*?</tr>`).FindAllString(render(t), -1)
	if len(row) != 1 || !strings.Contains(row[0], "optimizer.weight_decay") || !strings.Contains(row[0], "0.01") {
		t.Errorf("want exactly optimizer.weight_decay (0.05 asked, 0.01 applied) marked, got %q", row)
	}
}

func TestReportEscapesNamesAndLoadsNothing(t *testing.T) {
	html := render(t)
	if strings.Contains(html, "<script") {
		t.Error("a class name became markup")
	}
	if found := regexp.MustCompile(`(?i)(src|href)="(?:https?:|//)|url\(|@import`).FindString(html); found != "" {
		t.Errorf("the report refers to something outside: %q", found)
	}
}

func TestReportOfRunWithNothingYet(t *testing.T) {
	text, err := report.Render(report.Data{Run: pipelines.Run{ID: "x", Pipeline: "p", Address: "train.a", Status: pipelines.StatusFailed, Error: "no space left"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "no space left") {
		t.Error("the error is missing")
	}
}

func TestWriteReplacesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	for range 2 {
		if err := report.Write(path, sampleData(t)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("want only report.html, got %v %v", entries, err)
	}
	if out := os.Getenv("REPORT_SAMPLE"); out != "" { // to look at it
		text, _ := os.ReadFile(path)
		if err := os.WriteFile(out, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
