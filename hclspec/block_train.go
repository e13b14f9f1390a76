package hclspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var trainBlock = &blockSpec{
	Type: "train", Labels: []string{"name"}, Required: []string{"model", "dataset", "epochs"},
	Optional: append([]string{"batch_size", "learning_rate", "seed", "preset", "config", "device", "num_workers",
		"monitor", "mode", "matrix", "on_change"}, commonArguments...),
	Blocks: []*blockSpec{configBlock, startBlock, checkpointBlock, sweepBlock, retryBlock},
	Words:  map[string][]string{"device": deviceWords, "mode": {"max", "min"}, "on_change": {"resume", "retrain"}},
}

var (
	startBlock      = &blockSpec{Type: "start", Required: []string{"checkpoint"}, Optional: []string{"mode"}, Words: map[string][]string{"mode": {"weights", "resume"}}}
	checkpointBlock = &blockSpec{Type: "checkpoint", Optional: []string{"every", "keep_last", "keep_best", "keep_every"}}
)

const defaultBatchSize = 32

// deviceWords are the devices but cuda:N.
var deviceWords = []string{"auto", "cpu", "cuda"}

// train decodes a train block.
func (s *scope) train(b *block, d *decoded) {
	t := &pipelines.TrainSpec{Device: "auto", BatchSize: defaultBatchSize}
	d.spec.Train = t
	model := s.useModel(b, d)
	s.useDataset(b, d)
	t.Epochs = int(s.wholeCell(b, "epochs", 1, 100_000, 0))
	t.BatchSize = int(s.wholeCell(b, "batch_size", 1, 1_000_000, defaultBatchSize))
	t.Seed = s.wholeCell(b, "seed", 0, 1<<53, 0)
	if n, ok := s.whole(b, "num_workers", "train.num_workers", 0, 1024); ok {
		t.NumWorkers = int(n)
	}
	s.device(b, "train.device", &t.Device, d.spec.Adapter)
	s.monitor(b, t, d.spec.Task)
	if c, ok := s.oneOf(b, "on_change", "on_change"); ok {
		d.onChange = pipelines.OnChange(c)
	}
	if c := b.one("checkpoint"); c != nil {
		s.checkpointPolicy(c, &t.Checkpoint)
	}
	s.config(b, d)
	if start := b.one("start"); start != nil {
		s.start(start, d, model)
	}
	if sweep := b.one("sweep"); sweep != nil {
		s.sweep(b, sweep, d)
	}
}

// useModel decodes model = model.x, or the matrix cell that replaces it.
func (s *scope) useModel(b *block, d *decoded) *modelDecl {
	address, ok := s.refCell(b, "model")
	n := s.e.m.nodes[address]
	if !ok || n == nil || n.circular {
		d.ok = false
		return nil
	}
	return s.adoptModel(strings.TrimPrefix(address, "model."), b.at("model"), d)
}

func (s *scope) adoptModel(name string, at hcl.Range, d *decoded) *modelDecl {
	m := s.e.model(name)
	d.ok = d.ok && m.ok
	d.spec.Adapter, d.spec.Task = m.adapter, m.task
	spec := m.spec
	d.spec.Model = &spec
	s.merge(m.unknown, m.ranges)
	if a, ok := s.e.m.adapter(m.adapter); ok && m.ok && !slices.Contains(a.Kinds, string(d.spec.Kind)) {
		s.fail(at, "Adapter cannot do this", "The adapter %q has no %s steps; it has %s.", a.Name, d.spec.Kind, join(a.Kinds, "and"))
	}
	return m
}

func (s *scope) useDataset(b *block, d *decoded) {
	address, ok := s.refCell(b, "dataset")
	n := s.e.m.nodes[address]
	if !ok || n == nil || n.circular {
		return
	}
	data := s.e.dataset(strings.TrimPrefix(address, "dataset."))
	spec := data.spec
	d.spec.Dataset = &spec
	s.merge(data.unknown, data.ranges)
	s.checkFormat(b, d.spec.Adapter, data)
}

// checkFormat requires that the adapter takes the dataset's format.
func (s *scope) checkFormat(b *block, adapter string, data *datasetDecl) {
	format := data.spec.Format
	for _, u := range data.spec.Union {
		if format == "" {
			format = u.Format
		}
	}
	a, ok := s.e.m.adapter(adapter)
	if !ok || format == "" || slices.Contains(a.Formats, format) {
		return
	}
	if !s.e.m.executable(format) {
		s.e.m.notYet(s, data.block.at("format"), fmt.Sprintf("The dataset format %q is not part of this version.", format))
		return
	}
	s.fail(b.at("dataset"), "Adapter cannot read this dataset", "The adapter %q takes datasets in the formats %s, and %s is in %q.", a.Name, join(a.Formats, "and"), data.block.address(), format)
}

// refCell reads a reference to a block from the matrix cell or the argument.
func (s *scope) refCell(b *block, name string) (string, bool) {
	if c, ok := s.each.cell(name); ok {
		s.ranges["train."+name] = toRange(c.at)
		return s.blockRefValue(c.value, c.at, name, name)
	}
	a, ok := b.attrs[name]
	if !ok {
		return "", false
	}
	s.ranges[string(kindOf(b))+"."+name] = toRange(a.Expr.Range())
	return s.blockRef(a.Expr, name, name)
}

func kindOf(b *block) pipelines.Kind { return pipelines.Kind(b.spec.Type) }

// wholeCell reads a whole number from the matrix cell or the argument.
func (s *scope) wholeCell(b *block, name string, low, high, otherwise int64) int64 {
	if c, ok := s.each.cell(name); ok {
		s.ranges["train."+name] = toRange(c.at)
		if v, ok := s.admit(c.value, name, "train."+name, c.at, early); ok {
			if n, ok := s.wholeOf(v, c.at, name, low, high); ok {
				otherwise = n
			}
		}
		s.whole(b, name, "", low, high) // what is written is checked as well
		return otherwise
	}
	if n, ok := s.whole(b, name, "train."+name, low, high); ok {
		return n
	}
	return otherwise
}

var devicePattern = regexp.MustCompile(`^(auto|cpu|cuda(:[0-9]{1,3})?)$`)

func (s *scope) device(b *block, path string, out *string, adapter string) {
	t, ok := s.text(b, "device", path, early)
	if !ok {
		return
	}
	if !devicePattern.MatchString(t) {
		hint := didYouMean(t, deviceWords)
		if strings.Contains(t, ",") {
			hint = " It names one device: several steps of a matrix use several."
		}
		s.fail(b.at("device"), "Invalid value", "\"device\" must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\", not %q.%s", t, hint)
		return
	}
	kind, _, _ := strings.Cut(t, ":")
	if a, ok := s.e.m.adapter(adapter); ok && kind != "auto" && !slices.Contains(a.Devices, kind) {
		s.fail(b.at("device"), "Device not supported", "The adapter %q runs on %s, not on %q.", a.Name, join(a.Devices, "and"), t)
	}
	*out = t
}

var metricName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_@.]{0,63}$`)

// monitor decodes what drives best: by default the task's own metric.
func (s *scope) monitor(b *block, t *pipelines.TrainSpec, task string) {
	m := monitors[task]
	t.Monitor, t.Mode = m[0], m[1]
	name, written := s.text(b, "monitor", "train.monitor", early)
	if written {
		if !metricName.MatchString(name) {
			s.fail(b.at("monitor"), "Invalid value", "\"monitor\" must be the name of a metric, such as \"accuracy\" or \"loss\", not %q.", name)
			return
		}
		t.Monitor = name
		if hint := metricHint(name, metricNames[task]); hint != "" {
			s.diags = append(s.diags, warning(b.at("monitor"), summaryMetric, "%s", hint))
		}
		if t.Mode = "max"; strings.Contains(name, "loss") || strings.HasSuffix(name, "error") {
			t.Mode = "min"
		}
	}
	if mode, ok := s.oneOf(b, "mode", "train.mode"); ok {
		t.Mode = mode
	}
}

func (s *scope) checkpointPolicy(b *block, out *pipelines.CheckpointPolicy) {
	*out = pipelines.CheckpointPolicy{Every: 1, KeepLast: 2, KeepBest: 1}
	for name, to := range map[string]*int{"every": &out.Every, "keep_last": &out.KeepLast, "keep_best": &out.KeepBest, "keep_every": &out.KeepEvery} {
		low := int64(0)
		if name == "every" || name == "keep_last" {
			low = 1
		}
		if n, ok := s.whole(b, name, "train.checkpoint."+name, low, 1_000_000); ok {
			*to = int(n)
		}
	}
}

// start decodes start { checkpoint mode }, which replaces the model's weights.
func (s *scope) start(b *block, d *decoded, model *modelDecl) {
	out := &pipelines.Start{Mode: pipelines.StartWeights}
	if mode, ok := s.oneOf(b, "mode", "train.start.mode"); ok {
		out.Mode = pipelines.StartMode(mode)
	}
	if c, ok := s.checkpoint(b, "train.start.checkpoint"); ok {
		out.Checkpoint = c
	}
	d.spec.Train.Start = out
	if d.spec.Model != nil {
		d.spec.Model.Weights, d.spec.Model.Pretrained = nil, false
		delete(s.unknown, "model.weights")
	}
}

// checkpoint reads an argument that is a checkpoint of a step, or a path.
func (s *scope) checkpoint(b *block, path string) (pipelines.Checkpoint, bool) {
	v, ok := s.attr(b, "checkpoint", path, late)
	if !ok {
		s.misfit(b.at("checkpoint"), "checkpoint", path, "a checkpoint (train.NAME.best) or a path", cty.String, checkpointType)
		if a := b.attrs["checkpoint"]; a != nil && !s.diags.HasErrors() && len(s.unknown[path]) == 0 {
			if v, _ := s.e.eval(a.Expr, s.each); v.IsKnown() && v.IsNull() {
				s.fail(a.Expr.Range(), "No checkpoint", "The step left no such checkpoint, so there is nothing to go on from.")
			}
		}
		return pipelines.Checkpoint{}, false
	}
	switch {
	case v.Type() == cty.String && v.AsString() != "":
		return pipelines.Checkpoint{Path: s.e.m.resolvePath(v.AsString())}, true
	case v.Type().Equals(checkpointType):
		return checkpointOf(v), true
	}
	hint := ""
	if v.Type().IsObjectType() && v.Type().HasAttribute("best") {
		hint = " Add .best or .latest."
	}
	s.wrong(b.at("checkpoint"), "checkpoint", v, "a checkpoint (train.NAME.best) or a path")
	if hint != "" {
		last := s.diags[len(s.diags)-1]
		last.Detail += hint
	}
	return pipelines.Checkpoint{}, false
}
