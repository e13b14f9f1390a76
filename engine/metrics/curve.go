package metrics

import (
	"fmt"
	"math"
)

// Scores are told apart by their log-odds, a bin for each 1/32 of [-32, 32):
// what is kept does not grow with the samples, and every point of a curve is
// exact at its threshold.
const (
	curveBins  = 2048
	binsPerOdd = 32
	oddsRange  = curveBins / binsPerOdd / 2
)

// Curves adds up what precision-recall curves need, each class against the
// rest, scored by its softmax probability. See NewCurves.
type Curves struct {
	classes int
	bins    []binned // [class][bin]
}

// binned counts samples whose score of a class lies in a bin.
type binned struct{ of, others uint32 } // samples of the class, of other classes

// Curve is precision over recall of one class, from the highest threshold down.
type Curve struct {
	AP     float64 // average precision: precision summed over the steps of recall
	Points []CurvePoint
}

// CurvePoint counts as the class whatever scores at least Threshold.
type CurvePoint struct{ Threshold, Precision, Recall float64 }

// NewCurves returns an empty measurement of that many classes.
func NewCurves(classes int) *Curves {
	return &Curves{classes: classes, bins: make([]binned, classes*curveBins)}
}

// Add counts a batch: logits [N, classes] row by row, labels [N].
func (c *Curves) Add(logits []float32, labels []int64) error {
	if len(logits) != len(labels)*c.classes {
		return fmt.Errorf("metrics: %d logits for %d samples of %d classes", len(logits), len(labels), c.classes)
	}
	parts := make([]float64, c.classes)
	for i, label := range labels {
		if label < 0 || label >= int64(c.classes) {
			return fmt.Errorf("metrics: label %d is outside 0..%d", label, c.classes-1)
		}
		row := logits[i*c.classes : (i+1)*c.classes]
		largest, sum := row[Argmax(row)], 0.0
		for k, v := range row {
			parts[k] = math.Exp(float64(v) - float64(largest))
			sum += parts[k]
		}
		for k, v := range row {
			odds := float64(v) - float64(largest) - math.Log(sum-parts[k])
			b := &c.bins[k*curveBins+binOf(odds)]
			if int64(k) == label {
				b.of++
			} else {
				b.others++
			}
		}
	}
	return nil
}

// binOf is the bin of log-odds; not a number is the least likely.
func binOf(odds float64) int {
	if odds != odds {
		return 0
	}
	return int(min(max((odds+oddsRange)*binsPerOdd, 0), curveBins-1))
}

// Curves are those of all classes so far, each of at most points points. A
// class without a sample has none, and an AP of 0.
func (c *Curves) Curves(points int) []Curve {
	out := make([]Curve, c.classes)
	for k := range out {
		out[k] = curveOf(c.bins[k*curveBins:(k+1)*curveBins], points)
	}
	return out
}

func curveOf(bins []binned, points int) Curve {
	all := 0.0
	for _, b := range bins {
		all += float64(b.of)
	}
	if all == 0 {
		return Curve{}
	}
	var c Curve
	var hits, taken, recall float64
	for i := len(bins) - 1; i >= 0; i-- {
		b := bins[i]
		if b.of == 0 && b.others == 0 {
			continue
		}
		hits += float64(b.of)
		taken += float64(b.of) + float64(b.others)
		p := CurvePoint{Precision: hits / taken, Recall: hits / all}
		if i > 0 { // the last bin takes whatever scored less
			p.Threshold = 1 / (1 + math.Exp(oddsRange-float64(i)/binsPerOdd))
		}
		c.AP += p.Precision * (p.Recall - recall)
		recall = p.Recall
		c.Points = append(c.Points, p)
		if hits == all {
			break // what follows only loses precision
		}
	}
	c.Points = thin(c.Points, points)
	return c
}

// thin keeps n points that lie evenly along the line, its ends among them.
func thin(list []CurvePoint, n int) []CurvePoint {
	if len(list) <= n || n < 2 {
		return list
	}
	along := make([]float64, len(list))
	for i := 1; i < len(list); i++ {
		along[i] = along[i-1] + math.Abs(list[i].Recall-list[i-1].Recall) + math.Abs(list[i].Precision-list[i-1].Precision)
	}
	step := along[len(list)-1] / float64(n-1)
	kept := list[:1:1]
	for i := 1; i < len(list)-1; i++ {
		if along[i] >= step*float64(len(kept)) && len(kept) < n-1 {
			kept = append(kept, list[i])
		}
	}
	return append(kept, list[len(list)-1])
}
