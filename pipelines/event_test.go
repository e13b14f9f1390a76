package pipelines_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
)

func TestNotFiniteNumbersSurviveJSON(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	e := pipelines.Event{
		Version:  1,
		Metrics:  &pipelines.Metrics{Epoch: 1, Split: "train", Values: map[string]float64{"loss": nan, "x": -inf, "y": 0.5}},
		Progress: &pipelines.Progress{Loss: nan, ETASeconds: inf},
		Validation: &pipelines.Validation{Loss: inf, PrimaryValue: nan, Metrics: map[string]float64{"a": nan},
			PerClass: map[string]map[string]float64{"cat": {"f1": nan}}, Samples: []pipelines.SamplePrediction{{Loss: inf}}},
		Checkpoint: &pipelines.Checkpoint{Name: "best", Metrics: map[string]float64{"m": nan}},
		Result:     &pipelines.StepResult{Metrics: map[string]float64{"m": inf}, Best: &pipelines.Checkpoint{Metrics: map[string]float64{"m": nan}}},
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got pipelines.Event
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	// NaN != NaN, so compare what they print.
	if a, b := deepPrint(e), deepPrint(got); a != b {
		t.Errorf("round trip:\n got %s\nwant %s", b, a)
	}
}

func TestResultRoundTrip(t *testing.T) {
	r := pipelines.Result{RunID: "r", Metrics: map[string]float64{"accuracy": 0.5},
		Best: &pipelines.Checkpoint{Name: "best", Epoch: 2}, Outputs: map[string]string{"o": "p"}}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got pipelines.Result
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func deepPrint(e pipelines.Event) string {
	return fmt.Sprintf("%+v %+v %+v %+v %+v %+v", e.Metrics, e.Progress, e.Validation, e.Checkpoint, e.Result.Metrics, *e.Result.Best)
}
