package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/metrics"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/ort"
)

// keptSamples bounds the predictions that a validation keeps for its report.
const keptSamples = 32

// curvePoints bounds the points of a class's precision-recall curve, so that
// those of many classes stay small together.
func curvePoints(classes int) int { return min(max(4000/max(classes, 1), 10), 60) }

// validate scores the validation images with running statistics, and with the
// moving averages where there are any.
func (t *trainer) validate(ctx context.Context) (scores, error) {
	averages := map[string]string{}
	for _, name := range t.model {
		if t.tensors.hasEMA(name) {
			averages[name] = optim.EMAName(name)
		}
	}
	var bindings [2]*ort.Binding
	for i, at := range t.evalFeeder.places[t.evalBatch] {
		b, err := t.eval.bind(t.tensors, at, averages)
		if err != nil {
			return scores{}, err
		}
		defer b.Close()
		bindings[i] = b
	}
	s := newScorer(len(t.cfg.Model.Classes), t.cfg.Val)
	// What follows a short last batch is padding.
	for at, err := range t.evalFeeder.batches(ctx, t.valLoader.Epoch(ctx, 0, 0), t.evalBatch) {
		if err != nil {
			return scores{}, fmt.Errorf("validate: %w", err)
		}
		if err := t.eval.execute(ctx, bindings[at.number], at); err != nil {
			return scores{}, fmt.Errorf("validate: %w", err)
		}
		logits, err := ort.View[float32](t.eval.io[outLogits])
		if err != nil {
			return scores{}, err
		}
		losses, err := ort.View[float32](t.eval.io[outLosses])
		if err != nil {
			return scores{}, err
		}
		n := at.batch.Len()
		if err := s.add(&at.batch, logits[:n*s.classes], losses[:n]); err != nil {
			return scores{}, err
		}
	}
	return s.result(), nil
}

// scores are what a scorer found.
type scores struct {
	report  metrics.Report
	curves  []metrics.Curve
	samples []Prediction // the worst errors, then some of the rest
}

// scorer adds up predictions and keeps the most telling ones.
type scorer struct {
	classes int
	samples []data.Sample
	sums    *metrics.Classifier
	curves  *metrics.Curves
	wrong   []Prediction // the worst, sorted by loss, largest first
	right   []Prediction // some, spread over the split
	seen    int
}

func newScorer(classes int, samples []data.Sample) *scorer {
	return &scorer{classes: classes, samples: samples, sums: metrics.NewClassifier(classes), curves: metrics.NewCurves(classes)}
}

// add counts a batch: logits [N, classes]; losses [N], nil to compute them.
func (s *scorer) add(b *data.Batch, logits, losses []float32) error {
	if err := s.sums.Add(logits, b.Labels, losses); err != nil {
		return err
	}
	if err := s.curves.Add(logits, b.Labels); err != nil {
		return err
	}
	for i, label := range b.Labels {
		row := logits[i*s.classes : (i+1)*s.classes]
		class := metrics.Argmax(row)
		p := Prediction{Path: s.samples[b.Indices[i]].Path, Label: int(label), Class: class,
			Confidence: math.Exp(-metrics.CrossEntropy(row, class)), Loss: metrics.CrossEntropy(row, int(label))}
		s.keep(p)
	}
	return nil
}

func (s *scorer) keep(p Prediction) {
	every := max(1, len(s.samples)/(keptSamples/2))
	s.seen++
	if p.Class == p.Label {
		if s.seen%every == 0 && len(s.right) < keptSamples/2 {
			s.right = append(s.right, p)
		}
		return
	}
	at, _ := slices.BinarySearchFunc(s.wrong, p, func(a, b Prediction) int {
		switch {
		case a.Loss > b.Loss:
			return -1
		case a.Loss < b.Loss:
			return 1
		}
		return 0
	})
	if at < keptSamples {
		s.wrong = slices.Insert(s.wrong, at, p)
		s.wrong = s.wrong[:min(len(s.wrong), keptSamples)]
	}
}

func (s *scorer) result() scores {
	kept := append(slices.Clone(s.wrong), s.right...)
	return scores{s.sums.Report(), s.curves.Curves(curvePoints(s.classes)), kept[:min(len(kept), keptSamples+keptSamples/2)]}
}
