package metrics

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// scored is a sample as scikit-learn's precision_recall_curve takes it.
type scored struct {
	score float64
	of    bool
}

func softmax(row []float32) []float64 {
	out, sum := make([]float64, len(row)), 0.0
	for i, v := range row {
		out[i] = math.Exp(float64(v))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// averagePrecision is scikit-learn's average_precision_score: the sum over
// distinct scores, highest first, of (R_n - R_n-1) * P_n.
func averagePrecision(list []scored) float64 {
	sort.Slice(list, func(i, j int) bool { return list[i].score > list[j].score })
	all := 0.0
	for _, s := range list {
		if s.of {
			all++
		}
	}
	ap, hits, recall := 0.0, 0.0, 0.0
	for i, s := range list {
		if s.of {
			hits++
		}
		if i+1 < len(list) && list[i+1].score == s.score {
			continue
		}
		ap += hits / float64(i+1) * (hits/all - recall)
		recall = hits / all
	}
	return ap
}

func TestCurvesAgreeWithScikitLearnsDefinition(t *testing.T) {
	const classes, n = 4, 600
	r := rand.New(rand.NewPCG(1, 2))
	c := NewCurves(classes)
	logits, labels := make([]float32, n*classes), make([]int64, n)
	for i := range labels {
		labels[i] = int64(r.IntN(classes))
		for k := range classes {
			logits[i*classes+k] = float32(2 * r.NormFloat64())
		}
		logits[i*classes+int(labels[i])] += 2
	}
	for at := 0; at < n; at += 50 { // in batches
		if err := c.Add(logits[at*classes:(at+50)*classes], labels[at:at+50]); err != nil {
			t.Fatal(err)
		}
	}
	for k, curve := range c.Curves(60) {
		list := make([]scored, n)
		for i := range list {
			list[i] = scored{softmax(logits[i*classes : (i+1)*classes])[k], labels[i] == int64(k)}
		}
		if want := averagePrecision(append([]scored(nil), list...)); math.Abs(curve.AP-want) > 5e-3 {
			t.Errorf("class %d: AP %.4f, want %.4f", k, curve.AP, want)
		}
		if len(curve.Points) < 20 || len(curve.Points) > 60 {
			t.Errorf("class %d has %d points, want at most 60, and a curve", k, len(curve.Points))
		}
		last := CurvePoint{Threshold: 2}
		for _, p := range curve.Points {
			hits, taken, all := 0.0, 0.0, 0.0
			for _, s := range list {
				if s.of {
					all++
				}
				if s.score >= p.Threshold {
					taken++
					if s.of {
						hits++
					}
				}
			}
			if p.Precision != hits/taken || p.Recall != hits/all {
				t.Errorf("class %d at %v: precision %v recall %v, want %v %v", k, p.Threshold, p.Precision, p.Recall, hits/taken, hits/all)
			}
			if p.Threshold >= last.Threshold || p.Recall < last.Recall {
				t.Errorf("class %d: %+v follows %+v", k, p, last)
			}
			last = p
		}
		if last.Recall != 1 {
			t.Errorf("class %d ends at recall %v", k, last.Recall)
		}
	}
}

// The example of scikit-learn's manual: y_true = [0 0 1 1], scores
// [0.1 0.4 0.35 0.8] has average precision 0.83…, precision [1/2 2/3 1/2 1 1].
func TestCurveOfScikitLearnsExample(t *testing.T) {
	c := NewCurves(2)
	for i, p := range []float64{0.1, 0.4, 0.35, 0.8} {
		if err := c.Add([]float32{0, float32(math.Log(p / (1 - p)))}, []int64{int64(i / 2)}); err != nil {
			t.Fatal(err)
		}
	}
	curve := c.Curves(100)[1]
	near(t, "AP", curve.AP, 0.5*1+0.5*2.0/3)
	want := []CurvePoint{{0.8, 1, 0.5}, {0.4, 0.5, 0.5}, {0.35, 2.0 / 3, 1}}
	if len(curve.Points) != len(want) {
		t.Fatalf("points = %+v", curve.Points)
	}
	for i, p := range curve.Points {
		near(t, "precision", p.Precision, want[i].Precision)
		near(t, "recall", p.Recall, want[i].Recall)
		if p.Threshold > want[i].Threshold || p.Threshold < want[i].Threshold-0.01 {
			t.Errorf("threshold %v, want just below %v", p.Threshold, want[i].Threshold)
		}
	}
}

func TestCurvesOfExtremeLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	c := NewCurves(3)
	if err := c.Add([]float32{1000, 0, -1000, nan, nan, nan, -inf, 0, 0}, []int64{0, 1, 1}); err != nil {
		t.Fatal(err)
	}
	list := c.Curves(10)
	near(t, "AP of what is sure and right", list[0].AP, 1)
	if list[2].AP != 0 || list[2].Points != nil {
		t.Errorf("a class without samples has the curve %+v", list[2])
	}
	for _, p := range list[1].Points {
		if p.Precision != p.Precision || p.Recall != p.Recall || p.Threshold < 0 {
			t.Errorf("point %+v", p)
		}
	}
	if err := c.Add(make([]float32, 3), []int64{3}); err == nil {
		t.Error("a label outside gave no error")
	}
	if err := c.Add(make([]float32, 4), []int64{1}); err == nil {
		t.Error("a wrong number of logits gave no error")
	}
}
