package fake_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

func TestMain(m *testing.M) {
	fake.Main()
	os.Exit(m.Run())
}

func harness() adaptertest.Harness {
	return adaptertest.Harness{
		Adapter:     fake.Adapter{},
		Task:        newTask,
		Unsupported: map[string]any{"mixed_precision": true},
		With:        map[string]map[string]any{"scheduler.T_max": {"scheduler.T_max": int64(4)}},
		Env:         map[string]string{fake.EnvDelay: "2ms"},
		Slow:        20 * time.Second,
	}
}

func newTask(string) (pipelines.Task, error) {
	s := fake.Schema()
	config := s.Defaults()
	for name := range s.Inactive(config) {
		delete(config, name)
	}
	return pipelines.Task{
		Pipeline: "p", Address: "train.a", TaskType: "image_classification",
		Model: &pipelines.ModelSpec{Name: "tiny", ImageSize: 32},
		Train: &pipelines.TaskTrain{
			Epochs: 3, BatchSize: 16, LearningRate: 1e-3, Seed: 7, Device: "cpu", Monitor: "accuracy", Mode: "max",
			Config: config, Checkpoint: pipelines.CheckpointPolicy{KeepLast: 100},
		},
	}, nil
}

func TestFakePasses(t *testing.T) { t.Parallel(); adaptertest.Run(t, harness()) }

// TestSuiteCatches: adapters that break one rule fail the check for that rule.
func TestSuiteCatches(t *testing.T) {
	for _, c := range []struct {
		name   string
		echo   bool
		faults string
		check  string
		text   string
	}{
		{"echo", true, "", "EveryFieldCounts", "optimizer.weight_decay"},
		{"lie", false, "lie=layers", "ConfigIsReported", "layers"},
		{"hide", false, "hide=tag", "ConfigIsReported", "tag"},
		{"late", false, "late", "Events", "before config_applied"},
		{"stubborn", false, "stubborn,hang@2#1", "StoppedAndResumed", ""},
		{"garbage", false, "garbage@2", "Events", "no event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := harness()
			h.Adapter = fake.Adapter{Echo: c.echo}
			h.Env[fake.EnvFault] = c.faults
			h.Env[fake.EnvDelay] = "1ms"
			if c.name == "stubborn" {
				h.Slow = time.Second
			}
			var found adaptertest.Finding
			err := adaptertest.Check(t.Context(), h, t.TempDir(), []string{c.check}, func(f adaptertest.Finding) { found = f })
			if err != nil || len(found.Failures) == 0 || found.Fix == "" || !strings.Contains(fmt.Sprint(found.Failures), c.text) {
				t.Errorf("check %s found %+v, %v", c.check, found, err)
			}
		})
	}
}

func TestSchemaExercisesEverything(t *testing.T) {
	var types []schema.Type
	var resumes []schema.Resume
	for _, f := range fake.Schema().Fields {
		types, resumes = append(types, f.Type), append(resumes, f.Resume)
	}
	for _, want := range []schema.Type{schema.Select, schema.Number, schema.Integer, schema.Boolean, schema.String, schema.List} {
		if !slices.Contains(types, want) {
			t.Errorf("no field of type %s", want)
		}
	}
	for _, want := range []schema.Resume{"", schema.Apply, schema.Keep, schema.Reset, schema.Forbid} {
		if !slices.Contains(resumes, want) {
			t.Errorf("no field with resume %q", want)
		}
	}
}

func TestParseFaults(t *testing.T) {
	got, err := fake.ParseFaults("crash@5#1, fail=oom@7,hang")
	want := []fake.Fault{{Kind: "crash", Step: 5, Attempt: 1}, {Kind: "fail", Arg: "oom", Step: 7}, {Kind: "hang", Step: 1}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"explode", "crash@x", "crash#y"} {
		if _, err := fake.ParseFaults(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
