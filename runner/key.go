package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// keyVersion is hashed into every content key; another one forgets all results.
const keyVersion = "trainwright content key 1\n"

// Inputs are everything that decides a step's result, flat: field ("epochs",
// "config.optimizer.type", "dataset.fingerprint") to a JSON value. What is not
// in it (names, descriptions, executor, retries, timeout, workers, secrets,
// the runner's version) may change without a step being done anew.
type Inputs map[string]any

// Canonical is the JSON that is hashed and remembered: sorted keys, no blanks,
// equal numbers written equally.
func (in Inputs) Canonical() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any(in)); err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "a value cannot be part of a content key: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// ContentKey hashes canonical inputs: "sha256:…".
func ContentKey(canonical []byte) string {
	h := sha256.New()
	h.Write([]byte(keyVersion))
	h.Write(canonical)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// keyContext is what inputs are made of besides the spec.
type keyContext struct {
	Adapter adapters.Info
	Device  string // class: cpu | cuda; "" where it decides nothing
	Dataset *pipelines.DatasetReport
	Hash    func(path string) (string, error) // of a file's or folder's content
	Images  map[string]string                 // pinned: reference -> with its digest
}

// stepInputs collects the inputs of a spec. Fields in spec.Unknown are left out.
func stepInputs(spec pipelines.Spec, kc keyContext) (Inputs, error) {
	in := Inputs{"kind": string(spec.Kind)}
	if spec.Adapter != "" {
		in["adapter"] = spec.Adapter
		in["adapter.numerics"] = kc.Adapter.Numerics
		in.set("adapter.lock", kc.Adapter.Lock)
	}
	in.set("task", spec.Task)
	in.set("device", kc.Device)
	in.dataset(spec, kc)
	var err error
	if err = in.model(spec, kc); err == nil {
		switch {
		case spec.Train != nil:
			err = in.train(spec, kc)
		case spec.Evaluate != nil:
			in["split"] = spec.Evaluate.Split
			in.set("batch_size", spec.Evaluate.BatchSize)
			err = in.checkpoint("checkpoint", spec.Evaluate.Checkpoint, spec, kc)
		case spec.Export != nil:
			in["format"], in["precision"] = spec.Export.Format, spec.Export.Precision
			if d := spec.Export.MaxMetricDrop; d != nil {
				in["max_metric_drop"] = *d
			}
			err = in.checkpoint("checkpoint", spec.Export.Checkpoint, spec, kc)
		case spec.Command != nil:
			err = in.command(spec, kc)
		}
	}
	for field := range spec.Unknown {
		in.drop(displayField(field))
	}
	return in, err
}

// set stores a value unless it is its type's zero.
func (in Inputs) set(field string, v any) {
	switch v {
	case "", 0, int64(0), 0.0, false, nil:
	default:
		in[field] = v
	}
}

// drop removes a field and what lies under it.
func (in Inputs) drop(field string) {
	for k := range in {
		if k == field || strings.HasPrefix(k, field+".") {
			delete(in, k)
		}
	}
}

func (in Inputs) dataset(spec pipelines.Spec, kc keyContext) {
	if spec.Dataset == nil || kc.Dataset == nil {
		return
	}
	in["dataset.fingerprint"] = kc.Dataset.Fingerprint
	in["dataset.classes"] = kc.Dataset.Classes
	if s := spec.Dataset.Split; s != nil {
		in["dataset.split"] = s
	}
	if spec.Train != nil || spec.Evaluate != nil {
		for name, v := range spec.Dataset.Transforms {
			in["dataset.transforms."+name] = v
		}
	}
}

func (in Inputs) model(spec pipelines.Spec, kc keyContext) error {
	m := spec.Model
	if m == nil {
		return nil
	}
	in["model.name"] = m.Name
	if strings.HasSuffix(m.Name, ".onnx") && !isUnknown(spec, "model.name") { // the user's own graph
		h, err := kc.Hash(m.Name)
		if err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
		in["model.name"] = h
	}
	in.set("model.image_size", m.ImageSize)
	in.set("model.num_classes", numClasses(spec, kc.Dataset))
	if len(m.Freeze) > 0 {
		globs := slices.Clone(m.Freeze)
		slices.Sort(globs)
		in["model.freeze"] = slices.Compact(globs)
	}
	if spec.Train != nil && spec.Train.Start != nil {
		return nil // start replaces the model's weights
	}
	in.set("model.pretrained", m.Pretrained)
	switch w := m.Weights; {
	case w == nil || isUnknown(spec, "model.weights"):
	case w.Checkpoint != nil:
		return in.checkpoint("model.weights", *w.Checkpoint, spec, kc)
	case w.Path != "":
		h, err := kc.Hash(w.Path)
		if err != nil {
			return fmt.Errorf("model weights %s: %w", w.Path, err)
		}
		in["model.weights"] = h
	}
	return nil
}

func (in Inputs) train(spec pipelines.Spec, kc keyContext) error {
	t := spec.Train
	in["epochs"], in["batch_size"], in["seed"] = t.Epochs, t.BatchSize, t.Seed
	in["learning_rate"] = t.LearningRate
	in["monitor"], in["mode"] = t.Monitor, t.Mode
	for name, v := range t.Config.Active() {
		if name != "optimizer.learning_rate" { // the same value as learning_rate
			in["config."+name] = v
		}
	}
	if t.Start == nil {
		return nil
	}
	in["start.mode"] = string(t.Start.Mode)
	return in.checkpoint("start.checkpoint", t.Start.Checkpoint, spec, kc)
}

func (in Inputs) command(spec pipelines.Spec, kc keyContext) error {
	c := spec.Command
	in["image"], in["command"] = c.Image, c.Command
	if pinned := kc.Images[c.Image]; pinned != "" {
		in["image"] = pinned
	}
	if filepath.IsAbs(c.Image) { // a saved image is what is in it; of a folder with a root file system the path counts
		if info, err := os.Stat(c.Image); err != nil || !info.IsDir() {
			h, err := kc.Hash(c.Image)
			if err != nil {
				return fmt.Errorf("image: %w", err)
			}
			in["image"] = h
		}
	}
	in["outputs"] = slices.Sorted(maps.Keys(c.Outputs))
	for name, v := range spec.Env {
		in["env."+name] = v
	}
	for name, path := range c.Inputs {
		if isUnknown(spec, "command.inputs."+name) || isUnknown(spec, "command.inputs") {
			continue
		}
		h, err := kc.Hash(path)
		if err != nil {
			return fmt.Errorf("input %s: %w", name, err)
		}
		in["inputs."+name] = h
	}
	return nil
}

// checkpoint stores a checkpoint's hash; one named by path alone is hashed.
func (in Inputs) checkpoint(field string, c pipelines.Checkpoint, spec pipelines.Spec, kc keyContext) error {
	for path := range spec.Unknown {
		if display := displayField(path); display == field || strings.HasPrefix(field, display+".") {
			return nil
		}
	}
	if c.SHA256 == "" {
		h, err := kc.Hash(c.Path)
		if err != nil {
			return fmt.Errorf("%s %s: %w", field, c.Path, err)
		}
		c.SHA256 = h
	}
	in[field] = strings.TrimPrefix(c.SHA256, "sha256:")
	return nil
}

// numClasses is the model's, or the number of the dataset's classes.
func numClasses(spec pipelines.Spec, report *pipelines.DatasetReport) int {
	if spec.Model != nil && spec.Model.NumClasses > 0 {
		return spec.Model.NumClasses
	}
	if report != nil {
		return len(report.Classes)
	}
	return 0
}

// isUnknown reports that a spec field, or a part above it, waits for results.
func isUnknown(spec pipelines.Spec, path string) bool {
	for u := range spec.Unknown {
		if u == path || strings.HasPrefix(path, u+".") {
			return true
		}
	}
	return false
}

// displayField turns a spec path ("train.start.checkpoint") into the name
// that people and Inputs use ("start.checkpoint").
func displayField(path string) string {
	for _, prefix := range []string{"train.", "evaluate.", "export.", "command."} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return rest
		}
	}
	return path
}

// fieldRange finds where the user wrote a field; zero when nowhere.
func fieldRange(spec pipelines.Spec, field string) pipelines.Range {
	if spec.Train != nil {
		if name, ok := strings.CutPrefix(field, "config."); ok {
			return spec.Train.Config[name].Range
		}
	}
	for _, path := range []string{field, string(spec.Kind) + "." + field, "command." + field} {
		if r, ok := spec.Ranges[path]; ok {
			return r
		}
	}
	if field == "learning_rate" && spec.Train != nil {
		return spec.Train.Config["optimizer.learning_rate"].Range
	}
	if spec.Dataset != nil && strings.HasPrefix(field, "dataset.") {
		return spec.Dataset.Range
	}
	return pipelines.Range{}
}
