// Package conformance holds any adapter against the suite of adapters/adaptertest,
// on data that it generates: letters for classification, shapes with boxes,
// outlines or keypoints for the rest.
package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/adaptertest"
	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/datasets/glyphs"
	"github.com/trainwright/trainwright/datasets/shapes"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// Options say what is trained. The zero value of a field is its default.
type Options struct {
	Task      string         // the first of the adapter's for which data can be generated
	Model     string         // the smallest of the task's
	ImageSize int            // the model's own, at most 64
	Set       map[string]any // config of every training, by dotted name
	Change    map[string]any // values to which fields are changed, in place of those that are thought of
	Fields    []string       // the fields that are changed; none = all
	Skip      map[string]string
	Slow      time.Duration // the longest that one training takes
	Parallel  int
}

// Subject is what is trained.
type Subject struct {
	Adapter   string `json:"adapter"`
	Task      string `json:"task"`
	Model     string `json:"model"`
	ImageSize int    `json:"image_size"`
}

const (
	epochs    = 4
	batchSize = 7
	seed      = 3
	broken    = "broken.png" // the image that cannot be read

	classification = "image_classification"
	pose           = "pose_estimation"
)

// monitors are the tasks for which data can be generated, and what is watched.
var monitors = map[string]string{classification: "accuracy", "object_detection": "map", "instance_segmentation": "map", pose: "map"}

// Harness makes data under dir and describes small trainings on it.
func Harness(ctx context.Context, a adapters.Adapter, dir string, o Options) (adaptertest.Harness, Subject, error) {
	var h adaptertest.Harness
	s, err := choose(a, o)
	if err != nil {
		return h, s, err
	}
	fields, _, ok := a.Schema(s.Task)
	if !ok {
		return h, s, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q does not take %s; it takes %s", s.Adapter, s.Task, strings.Join(a.Info().Tasks, ", "))
	}
	for _, name := range o.Fields {
		if _, ok := fields.Field(name); !ok {
			return h, s, noField(name)
		}
	}
	data, err := generate(ctx, filepath.Join(dir, "data"), s)
	if err != nil {
		return h, s, err
	}
	config, err := configOf(fields, merge(fitting(fields, always), o.Set))
	if err != nil {
		return h, s, err
	}
	task := func(data pipelines.TaskDataset) pipelines.Task {
		rate, ok := config[schema.LearningRate].(float64)
		if !ok {
			rate = 1e-3
		}
		return pipelines.Task{
			Pipeline: "conformance", Address: "train.trial", TaskType: s.Task,
			Model:   &pipelines.ModelSpec{Name: s.Model, ImageSize: s.ImageSize, NumClasses: len(data.Classes)},
			Dataset: &data,
			Train: &pipelines.TaskTrain{
				Epochs: epochs, BatchSize: batchSize, LearningRate: rate, Seed: seed, Device: "cpu", NumWorkers: numWorkers(s.Adapter),
				Monitor: monitors[s.Task], Mode: "max", Config: maps.Clone(config),
				Checkpoint: pipelines.CheckpointPolicy{KeepLast: 100},
			},
		}
	}
	return adaptertest.Harness{
		Adapter: a,
		Task:    func(string) (pipelines.Task, error) { return task(data), nil },
		Bad: func(dir string) (pipelines.Task, string, error) {
			bad, err := spoil(data, dir)
			return task(bad), strings.TrimSuffix(broken, ".png"), err
		},
		Exact: func(checkpoint string) bool {
			_, in := a.(adapters.Preparer) // Python; of this program's own, all do
			return !in || adaptertest.SavedWhole(checkpoint)
		},
		PerClass: true, WholeEpochs: s.Adapter == "ultralytics",
		With: needed(fields), Change: merge(fitting(fields, change), o.Change), Skip: leftOut(fields, s.Task, o),
		Slow: o.Slow, Parallel: o.Parallel,
		// Of such small trainings a second thread costs more than it brings.
		Env: map[string]string{"OMP_NUM_THREADS": "1"},
	}, s, nil
}

// numWorkers: loader processes of Python cost more than such small data brings.
func numWorkers(adapter string) int {
	if adapter == "native" {
		return 1
	}
	return 0
}

func choose(a adapters.Adapter, o Options) (Subject, error) {
	info := a.Info()
	s := Subject{Adapter: info.Name, Task: o.Task, Model: o.Model, ImageSize: o.ImageSize}
	if s.Task == "" {
		for _, task := range slices.Concat([]string{classification}, info.Tasks) {
			if slices.Contains(info.Tasks, task) && monitors[task] != "" {
				s.Task = task
				break
			}
		}
	}
	if monitors[s.Task] == "" {
		return s, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q: no data can be generated for %s; the suite has data for %s",
			s.Adapter, strings.Join(info.Tasks, ", "), strings.Join(slices.Sorted(maps.Keys(monitors)), ", "))
	}
	models := a.Models(s.Task)
	if len(models) == 0 {
		return s, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q has no models for %s", s.Adapter, s.Task)
	}
	model := slices.MinFunc(models, func(x, y adapters.Model) int {
		return int(math.Copysign(1, parameters(x.Parameters)-parameters(y.Parameters)))
	})
	if s.Model != "" {
		i := slices.IndexFunc(models, func(m adapters.Model) bool { return m.ModelName == s.Model })
		if i < 0 {
			return s, pipelines.Errorf(pipelines.CodeNotFound, "adapter %q has no model %q for %s; see: runner models --framework %s", s.Adapter, s.Model, s.Task, s.Adapter)
		}
		model = models[i]
	}
	s.Model = model.ModelName
	if s.ImageSize == 0 {
		s.ImageSize = min(model.DefaultImageSize, 64)
	}
	if s.ImageSize < 16 || s.ImageSize > 512 {
		return s, pipelines.Errorf(pipelines.CodeInvalid, "image size %d: the generated images have 16 to 512 pixels a side", s.ImageSize)
	}
	return s, nil
}

// parameters reads "25.6M"; what nobody told is larger than all others.
func parameters(text string) float64 {
	factor := 1.0
	for unit, f := range map[string]float64{"K": 1e3, "M": 1e6, "B": 1e9} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, factor = rest, f
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.MaxFloat64
	}
	return n * factor
}

// generate makes a dataset and its planned list.
func generate(ctx context.Context, dir string, s Subject) (pipelines.TaskDataset, error) {
	spec := pipelines.DatasetSpec{Name: "trial", Format: "imagefolder", Path: dir}
	var err error
	if s.Task == classification {
		_, err = glyphs.Write(ctx, dir, glyphs.Options{Classes: 2, PerClass: 13, ValPerClass: 8, ImageSize: s.ImageSize, Seed: seed})
	} else {
		spec.Format = "coco"
		_, _, err = shapes.Write(ctx, dir, shapes.Options{Format: "coco", Train: 20, Val: 8, ImageSize: max(32, s.ImageSize), Most: 2, Seed: seed, Keypoints: s.Task == pose})
	}
	if err != nil {
		return pipelines.TaskDataset{}, err
	}
	index, err := (&datasets.Catalog{}).Index(ctx, spec)
	if err != nil {
		return pipelines.TaskDataset{}, err
	}
	return planned(index, dir)
}

func planned(index pipelines.DatasetIndex, dir string) (pipelines.TaskDataset, error) {
	d := pipelines.TaskDataset{Name: index.Name, Format: index.Format, Path: dir, Fingerprint: index.Fingerprint, Classes: index.Classes,
		IndexPath: filepath.Join(dir, "planned.json")}
	text, err := json.Marshal(index)
	if err != nil {
		return d, err
	}
	return d, os.WriteFile(d.IndexPath, text, 0o644)
}

// spoil is the dataset with an image in it that is none.
func spoil(d pipelines.TaskDataset, dir string) (pipelines.TaskDataset, error) {
	text, err := os.ReadFile(d.IndexPath)
	if err != nil {
		return d, err
	}
	var index pipelines.DatasetIndex
	if err := json.Unmarshal(text, &index); err != nil {
		return d, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return d, err
	}
	bad := filepath.Join(dir, broken)
	if err := os.WriteFile(bad, []byte("this is no image"), 0o644); err != nil {
		return d, err
	}
	index.Splits["train"][0].Path = bad
	path := d.Path
	out, err := planned(index, dir)
	out.Path = path
	return out, err
}

// configOf is the schema's defaults with values set, as far as they are active.
func configOf(fields schema.Schema, set map[string]any) (map[string]any, error) {
	config := fields.Defaults()
	for name, value := range set {
		f, ok := fields.Field(name)
		if !ok {
			return nil, noField(name)
		}
		v, err := f.Check(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		config[name] = v
	}
	inactive := fields.Inactive(config)
	for name, v := range config {
		if _, off := inactive[name]; off || v == nil {
			delete(config, name)
		}
	}
	return config, nil
}

func noField(name string) error {
	return pipelines.Errorf(pipelines.CodeInvalid, "the adapter has no config field %q", name)
}

func merge(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}
