package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/optim"
)

// testdata/schedules.json was written by torch.optim.lr_scheduler: see
// testdata/make_reference.py.
func TestSchedulesFollowTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/schedules.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name     string
		Schedule optim.Schedule
		LR       []float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if err := c.Schedule.Check(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for e, want := range c.LR {
			if got := c.Schedule.At(e); math.Abs(got-want) > 1e-12+1e-9*want {
				t.Errorf("%s: epoch %d: %v, torch has %v", c.Name, e, got, want)
			}
		}
	}
}

func TestScheduleCheck(t *testing.T) {
	for want, s := range map[string]optim.Schedule{
		"unknown type": {Type: "cosin", LearningRate: 1, Epochs: 1},
		"step_size":    {Type: "step", LearningRate: 1, Gamma: 0.1},
		"T_max":        {Type: "cosine", LearningRate: 1, TMax: -1},
		"warmup":       {Type: "none", WarmupEpochs: -1},
		"learning":     {Type: "none", LearningRate: math.NaN()},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}
