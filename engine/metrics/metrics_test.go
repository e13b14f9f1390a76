package metrics

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// score makes logits that rank the classes in the given order.
func score(classes int, order ...int) []float32 {
	row := make([]float32, classes)
	for place, class := range order {
		row[class] = float32(classes - place)
	}
	return row
}

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

// The example of scikit-learn's manual: y_true = [0 1 2 0 1 2], y_pred =
// [0 2 1 0 0 1] has precision [2/3 0 0], recall [1 0 0], F1 [0.8 0 0].
func TestPerClassAgreesWithScikitLearn(t *testing.T) {
	c := NewClassifier(3)
	labels := []int64{0, 1, 2, 0, 1, 2}
	for i, p := range []int{0, 2, 1, 0, 0, 1} {
		if err := c.Add(score(3, p), labels[i:i+1], []float32{0.5}); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Report()
	near(t, "accuracy", r.Accuracy, 2.0/6)
	near(t, "loss", r.Loss, 0.5)
	near(t, "precision", r.PerClass[0].Precision, 2.0/3)
	near(t, "recall", r.PerClass[0].Recall, 1)
	near(t, "f1", r.PerClass[0].F1, 0.8)
	near(t, "macro precision", r.Macro.Precision, 2.0/9)
	near(t, "macro recall", r.Macro.Recall, 1.0/3)
	near(t, "macro f1", r.Macro.F1, 0.8/3)
	near(t, "precision of a class never right", r.PerClass[1].Precision, 0)
	if want := [][]int{{2, 0, 0}, {1, 0, 1}, {0, 2, 0}}; !reflect.DeepEqual(r.Confusion, want) {
		t.Errorf("confusion = %v, want %v", r.Confusion, want)
	}
	if r.PerClass[2].Support != 2 || r.Macro.Support != 6 {
		t.Errorf("support = %+v", r.PerClass)
	}
}

func TestTop5(t *testing.T) {
	c := NewClassifier(7)
	labels := []int64{4, 5, 0}
	rows := append(score(7, 0, 1, 2, 3, 4, 5, 6), score(7, 0, 1, 2, 3, 4, 5, 6)...) // fifth: hit; sixth: miss
	rows = append(rows, make([]float32, 7)...)                                      // all equal: the first five count
	if err := c.Add(rows, labels, nil); err != nil {
		t.Fatal(err)
	}
	near(t, "top5", c.Report().Top5, 2.0/3)
}

func TestCrossEntropy(t *testing.T) {
	near(t, "uniform over 4", CrossEntropy([]float32{1, 1, 1, 1}, 2), math.Log(4))
	near(t, "two logits", CrossEntropy([]float32{0, 1}, 0), math.Log(1+math.E))
	near(t, "large logits", CrossEntropy([]float32{1000, 0}, 1), 1000)
}

func TestNaNLogitsAreNoHitAndANaNLoss(t *testing.T) {
	nan := float32(math.NaN())
	c := NewClassifier(2)
	if err := c.Add([]float32{nan, nan}, []int64{1}, nil); err != nil {
		t.Fatal(err)
	}
	r := c.Report()
	if r.Accuracy != 0 || r.Top5 != 0 || !math.IsNaN(r.Loss) {
		t.Errorf("accuracy %v, top5 %v, loss %v; want 0, 0, NaN", r.Accuracy, r.Top5, r.Loss)
	}
}

func TestWrongShapesAreErrors(t *testing.T) {
	c := NewClassifier(3)
	for name, err := range map[string]error{
		"logits": c.Add(make([]float32, 5), []int64{0, 1}, nil),
		"losses": c.Add(make([]float32, 6), []int64{0, 1}, make([]float32, 1)),
		"label":  c.Add(make([]float32, 3), []int64{3}, nil),
	} {
		if err == nil {
			t.Errorf("wrong %s gave no error", name)
		}
	}
}

func TestStateSurvivesJSON(t *testing.T) {
	a := NewClassifier(2)
	if err := a.Add([]float32{1, 0, 0, 2}, []int64{0, 1}, nil); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var b Classifier
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Report(), b.Report()) {
		t.Error("the report changed on the way through JSON")
	}
}

func TestEmptyReportIsZero(t *testing.T) {
	if r := NewClassifier(2).Report(); r.Loss != 0 || r.Accuracy != 0 || r.Macro.F1 != 0 {
		t.Errorf("report of nothing = %+v", r)
	}
}
