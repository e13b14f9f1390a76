package step

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
	"github.com/trainwright/trainwright/pipelines"
)

// imagenet encodes made-up weights of a model with 1000 classes, of which
// every running mean is 0.25.
func imagenet(t *testing.T, name string) []byte {
	t.Helper()
	g := graph.New("pretrained")
	built, err := zoo.Build(g, name, g.Input("x", graph.Float32, 1, 3, 32, 32), zoo.Options{NumClasses: 1000})
	must(t, err)
	f := &weights.File{Tensors: map[string]weights.Tensor{}}
	for name, values := range nn.Values(built.Init, 99) {
		for _, i := range built.Init {
			if i.Name == name {
				f.Tensors[name] = weights.Float32(i.Shape, values)
			}
		}
	}
	var out bytes.Buffer
	must(t, weights.Encode(&out, f))
	return out.Bytes()
}

func messages(events []pipelines.Event) string {
	var all strings.Builder
	for _, e := range events {
		if e.Message != nil {
			all.WriteString(e.Message.Text + "\n")
		}
	}
	return all.String()
}

func TestPretrainedWeightsComeFromTheHubOnce(t *testing.T) {
	task := trainTask(t, nil)
	task.Model = &pipelines.ModelSpec{Name: "mobilenetv3_small_100", ImageSize: 32, Pretrained: true,
		Freeze: []string{"conv_stem.*", "bn1.*", "blocks.*"}}
	task.Train.Epochs = 1
	content := imagenet(t, task.Model.Name)
	asked := 0
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/timm/mobilenetv3_small_100") {
			http.NotFound(w, r)
			return
		}
		asked++
		w.Header().Set("X-Repo-Commit", "0123456789abcdef")
		_, _ = w.Write(content)
	}))
	defer hub.Close()
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	events := run(t, task)
	r := result(t, events)
	if r.State != pipelines.StatusCompleted {
		t.Fatalf("%s: %s", r.State, r.Error)
	}
	said := messages(events)
	for _, want := range []string{"sha256", "re-headed", "classifier.weight"} {
		if !strings.Contains(said, want) {
			t.Errorf("messages lack %q: %s", want, said)
		}
	}
	got, err := weights.Open(weightsIn(r.Latest.Path))
	must(t, err)
	want, err := weights.Parse(content)
	must(t, err)
	if !bytes.Equal(got.Tensors["conv_stem.weight"].Data, want.Tensors["conv_stem.weight"].Data) {
		t.Error("the frozen stem is not the pretrained one")
	}

	before := asked
	t.Setenv("HF_HUB_OFFLINE", "1")
	task.RunDir = t.TempDir()
	if r := result(t, run(t, task)); r.State != pipelines.StatusCompleted || asked != before {
		t.Errorf("a second run offline: %s, %s; the hub was asked %d more times", r.State, r.Error, asked-before)
	}
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	if r := result(t, run(t, task)); r.State != pipelines.StatusFailed || r.Cause != pipelines.CauseConfig || !strings.Contains(r.Error, "offline") {
		t.Errorf("offline without a cached copy: %s (%s): %s", r.State, r.Cause, r.Error)
	}
	t.Setenv("HF_HUB_OFFLINE", "")
	hub.Close()
	if r := result(t, run(t, task)); r.State != pipelines.StatusFailed || r.Cause != pipelines.CauseInfrastructure {
		t.Errorf("a hub that cannot be reached: %s (%s): %s", r.State, r.Cause, r.Error)
	}
}

func TestWeightsOfAnotherStepAndOfTheWrongModel(t *testing.T) {
	first := trainTask(t, nil)
	first.Train.Epochs = 1
	best := result(t, run(t, first)).Best
	second := trainTask(t, map[string]any{"optimizer.learning_rate": 0.0, "optimizer.weight_decay": 0.0})
	second.Train.Epochs = 1
	second.Model.Weights = &pipelines.WeightsFile{Checkpoint: best}
	r := result(t, run(t, second))
	a, err := weights.Open(weightsIn(best.Path))
	must(t, err)
	b, err := weights.Open(weightsIn(r.Latest.Path))
	must(t, err)
	if !bytes.Equal(a.Tensors["fc.weight"].Data, b.Tensors["fc.weight"].Data) {
		t.Error("at learning rate 0 the weights are not those that training began from")
	}
	second.Model.Name, second.Model.ImageSize, second.RunDir = "mobilenetv3_small_100", 32, t.TempDir()
	r = result(t, run(t, second))
	if r.State != pipelines.StatusFailed || !strings.Contains(r.Error, "missing in the file") {
		t.Errorf("weights of another model: %s: %s", r.State, r.Error)
	}
}

func TestAChangedStartCheckpointIsRefused(t *testing.T) {
	first := trainTask(t, nil)
	first.Train.Epochs = 1
	best := *result(t, run(t, first)).Best
	second := trainTask(t, nil)
	second.Train.Start = &pipelines.Start{Checkpoint: best, Mode: pipelines.StartResume}
	if r := result(t, run(t, second)); r.State != pipelines.StatusCompleted || r.Latest.Epoch != 2 {
		t.Fatalf("resume from another run: %s: %s", r.State, r.Error)
	}
	second.RunDir = t.TempDir()
	second.Train.Start.Checkpoint.SHA256 = strings.Repeat("0", 64)
	if r := result(t, run(t, second)); r.State != pipelines.StatusFailed || r.Cause != pipelines.CauseConfig {
		t.Errorf("a start checkpoint with another hash: %s, cause %q", r.State, r.Cause)
	}
}
