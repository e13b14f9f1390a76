package train

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/trainwright/trainwright/engine/data"
)

// Ranked is a class and its probability.
type Ranked struct {
	Class       string
	Probability float64
}

// ImagePrediction is what a model says of one image, or why it cannot.
type ImagePrediction struct {
	Path    string
	Classes []Ranked // most probable first
	Err     error    // the file could not be used
}

// Predict classifies image files with a deployed model (an ONNX file that this
// engine exported, or a checkpoint folder). A file that cannot be read does not
// stop the others. top bounds the classes returned for each image; 0 = all.
func Predict(ctx context.Context, path string, images []string, top int, o ModelOptions) ([]ImagePrediction, ModelInfo, error) {
	c, err := openClassifier(path, batchSize(o, max(1, len(images))), o)
	if err != nil {
		return nil, ModelInfo{}, err
	}
	defer c.close()
	out := make([]ImagePrediction, len(images))
	todo := make([]int, len(images)) // indices into out
	for i, p := range images {
		out[i].Path, todo[i] = p, i
	}
	for len(todo) > 0 {
		left, err := c.predict(ctx, out, todo, top, o)
		if err != nil {
			return nil, c.info, err
		}
		todo = left
	}
	return out, c.info, nil
}

// predict fills out[todo…] up to the first file that cannot be read, which it
// marks, and returns what is left.
func (c *classifier) predict(ctx context.Context, out []ImagePrediction, todo []int, top int, o ModelOptions) (left []int, err error) {
	samples := make([]data.Sample, len(todo))
	for i, at := range todo {
		samples[i].Path = out[at].Path
	}
	l, err := c.loader(samples, o.Workers)
	if err != nil {
		return nil, err
	}
	for b, err := range l.Epoch(ctx, 0, 0) {
		var bad *data.SampleError
		if errors.As(err, &bad) {
			out[todo[bad.Index]].Err = bad.Err
			return slices.DeleteFunc(todo, func(at int) bool { return out[at].Err != nil || out[at].Classes != nil }), nil
		}
		if err != nil {
			return nil, err
		}
		logits, err := c.logits(ctx, b.Images)
		if err != nil {
			return nil, err
		}
		k := len(c.info.Classes)
		for i, index := range b.Indices {
			out[todo[index]].Classes = rank(logits[i*k:(i+1)*k], c.info.Classes, top)
		}
	}
	return nil, nil
}

// rank sorts classes by the softmax of their logits.
func rank(row []float32, classes []string, top int) []Ranked {
	largest, sum := math.Inf(-1), 0.0
	for _, v := range row {
		largest = math.Max(largest, float64(v))
	}
	out := make([]Ranked, len(row))
	for i, v := range row {
		out[i] = Ranked{classes[i], math.Exp(float64(v) - largest)}
		sum += out[i].Probability
	}
	for i := range out {
		out[i].Probability /= sum
	}
	slices.SortStableFunc(out, func(a, b Ranked) int {
		switch {
		case a.Probability > b.Probability:
			return -1
		case a.Probability < b.Probability:
			return 1
		}
		return 0
	})
	if top > 0 && top < len(out) {
		out = out[:top]
	}
	return out
}
