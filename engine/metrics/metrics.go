// Package metrics measures classifiers from logits and labels: mean loss,
// top-1, top-5, per-class precision, recall and F1, confusion matrix.
// Definitions follow scikit-learn's precision_recall_fscore_support and
// confusion_matrix; a quotient of 0/0 is 0. Fractions lie in [0,1].
package metrics

import (
	"fmt"
	"math"
)

// Classifier adds up batches. The zero value is not usable; see NewClassifier.
// Its fields are all its state, so that it survives a checkpoint as JSON.
type Classifier struct {
	Classes   int     `json:"classes"`
	Samples   int     `json:"samples"`
	LossSum   float64 `json:"loss_sum"`
	Top5Hits  int     `json:"top5_hits"`
	Confusion [][]int `json:"confusion"` // [true label][predicted label]
}

// NewClassifier returns an empty measurement of that many classes.
func NewClassifier(classes int) *Classifier {
	c := &Classifier{Classes: classes, Confusion: make([][]int, classes)}
	for i := range c.Confusion {
		c.Confusion[i] = make([]int, classes)
	}
	return c
}

// Add counts a batch: logits [N, Classes] row by row, labels [N]. losses [N]
// are the samples' losses; nil computes cross entropy from the logits.
func (c *Classifier) Add(logits []float32, labels []int64, losses []float32) error {
	if len(logits) != len(labels)*c.Classes {
		return fmt.Errorf("metrics: %d logits for %d samples of %d classes", len(logits), len(labels), c.Classes)
	}
	if losses != nil && len(losses) != len(labels) {
		return fmt.Errorf("metrics: %d losses for %d samples", len(losses), len(labels))
	}
	for i, label := range labels {
		if label < 0 || label >= int64(c.Classes) {
			return fmt.Errorf("metrics: label %d is outside 0..%d", label, c.Classes-1)
		}
		row := logits[i*c.Classes : (i+1)*c.Classes]
		c.Confusion[label][Argmax(row)]++
		if rank(row, int(label)) < 5 {
			c.Top5Hits++
		}
		if losses != nil {
			c.LossSum += float64(losses[i])
		} else {
			c.LossSum += CrossEntropy(row, int(label))
		}
		c.Samples++
	}
	return nil
}

// Argmax is the position of the largest value, the first of equals; a NaN
// counts as the largest, as in PyTorch.
func Argmax(row []float32) int {
	best := 0
	for i, v := range row {
		if v != v {
			return i
		}
		if v > row[best] {
			best = i
		}
	}
	return best
}

// rank is how many values are placed before label's, earlier ones first among equals.
func rank(row []float32, label int) int {
	v, n := row[label], 0
	if v != v {
		return math.MaxInt // not a number: never among the first
	}
	for i, w := range row {
		if w > v || w != w || w == v && i < label {
			n++
		}
	}
	return n
}

// CrossEntropy is -log softmax(row)[label], in float64.
func CrossEntropy(row []float32, label int) float64 {
	largest := math.Inf(-1)
	for _, v := range row {
		largest = math.Max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - largest)
	}
	return math.Log(sum) + largest - float64(row[label])
}
