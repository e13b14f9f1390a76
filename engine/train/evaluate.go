package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/metrics"
)

// ModelOptions say how a deployed model is run.
type ModelOptions struct {
	BatchSize int    // 0 = 32
	Workers   int    // goroutines that load images; 0 = one per processor
	Device    string // auto | cpu | cuda | cuda:N; "" = auto
	Threads   int    // 0 = one per processor
	Library   string // ONNX Runtime; "" = where ort.Find finds it
}

// Evaluation is what Evaluate found.
type Evaluation struct {
	Model   ModelInfo
	Report  metrics.Report
	Metrics map[string]float64
	Curves  []metrics.Curve // by class
	Samples []Prediction    // the worst errors, then some of the rest
}

// Evaluate scores samples with the deployed form of a model: an ONNX file that
// this engine exported, or a checkpoint folder. classes names the samples'
// labels; they are matched to the model's by name. progress, if not nil, is
// told how many of how many samples are done.
func Evaluate(ctx context.Context, path string, samples []data.Sample, classes []string, o ModelOptions, progress func(done, total int) error) (Evaluation, error) {
	if len(samples) == 0 {
		return Evaluation{}, fmt.Errorf("evaluate %s: there are no images", path)
	}
	c, err := openClassifier(path, batchSize(o, len(samples)), o)
	if err != nil {
		return Evaluation{}, err
	}
	defer c.close()
	samples, err = relabel(samples, classes, c.info.Classes)
	if err != nil {
		return Evaluation{}, fmt.Errorf("evaluate %s: %w", path, err)
	}
	l, err := c.loader(samples, o.Workers)
	if err != nil {
		return Evaluation{}, err
	}
	s := newScorer(len(c.info.Classes), samples)
	for b, err := range l.Epoch(ctx, 0, 0) {
		if err != nil {
			return Evaluation{}, err
		}
		logits, err := c.logits(ctx, b.Images)
		if err != nil {
			return Evaluation{}, err
		}
		if err := s.add(b, logits, nil); err != nil {
			return Evaluation{}, err
		}
		if progress != nil {
			if err := progress(b.Position, len(samples)); err != nil {
				return Evaluation{}, err
			}
		}
	}
	found := s.result()
	return Evaluation{Model: c.info, Report: found.report, Metrics: metricsOf(found.report), Curves: found.curves, Samples: found.samples}, nil
}

// relabel turns labels that index from into labels that index to.
func relabel(samples []data.Sample, from, to []string) ([]data.Sample, error) {
	if slices.Equal(from, to) {
		return samples, nil
	}
	labels := make([]int, len(from))
	for i, name := range from {
		if labels[i] = slices.Index(to, name); labels[i] < 0 {
			return nil, fmt.Errorf("the model does not know class %q; it knows %d: %.200q", name, len(to), to)
		}
	}
	out := make([]data.Sample, len(samples))
	for i, s := range samples {
		if s.Label < 0 || s.Label >= len(labels) {
			return nil, fmt.Errorf("%s has label %d, but there are %d classes", s.Path, s.Label, len(labels))
		}
		out[i] = data.Sample{Path: s.Path, Label: labels[s.Label]}
	}
	return out, nil
}

func batchSize(o ModelOptions, samples int) int {
	if o.BatchSize > 0 {
		return min(o.BatchSize, samples)
	}
	return min(32, samples)
}
