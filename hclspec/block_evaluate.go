package hclspec

import (
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

var evaluateBlock = &blockSpec{
	Type: "evaluate", Labels: []string{"name"}, Required: []string{"checkpoint", "dataset"},
	Optional: append([]string{"model", "split", "batch_size", "device"}, commonArguments...),
	Blocks:   []*blockSpec{retryBlock},
	Words:    map[string][]string{"split": splitNames, "device": deviceWords},
}

// evaluate decodes an evaluate block.
func (s *scope) evaluate(n *node, d *decoded) {
	b := n.block
	e := &pipelines.EvaluateSpec{Split: "val", Device: "auto"}
	d.spec.Evaluate = e
	s.modelOfCheckpoint(n, d)
	s.useDataset(b, d)
	if c, ok := s.checkpoint(b, "evaluate.checkpoint"); ok {
		e.Checkpoint = c
	}
	if split, ok := s.oneOf(b, "split", "evaluate.split"); ok {
		e.Split = split
	}
	if size, ok := s.whole(b, "batch_size", "evaluate.batch_size", 1, 1_000_000); ok {
		e.BatchSize = int(size)
	}
	s.device(b, "evaluate.device", &e.Device, d.spec.Adapter)
}

// modelOfCheckpoint takes the model argument, or else the model of the train
// steps that the checkpoint refers to.
func (s *scope) modelOfCheckpoint(n *node, d *decoded) {
	b := n.block
	if b.attrs["model"] != nil {
		s.useModel(b, d)
		s.dropWeights(d)
		return
	}
	names := s.e.m.checkpointModels(b)
	switch {
	case len(names) == 1:
		s.adoptModel(names[0], b.at("checkpoint"), d)
		s.dropWeights(d)
		return
	case len(names) > 1:
		s.fail(b.at("checkpoint"), "Model is not clear", "The checkpoint may come from the models %s. Add: model = model.NAME", join(names, "or"))
	case b.attrs["checkpoint"] != nil && !s.e.m.refersToStep(b):
		s.fail(b.head, "Missing required argument", "Block %s needs the argument \"model\", because its checkpoint comes from no train step of this pipeline.", b.spec.header())
	}
	d.ok = false
}

// dropWeights forgets where the model's first weights came from: a checkpoint
// brings its own.
func (s *scope) dropWeights(d *decoded) {
	if d.spec.Model != nil {
		d.spec.Model.Weights, d.spec.Model.Pretrained = nil, false
		delete(s.unknown, "model.weights")
	}
}

// checkpointModels lists the models of the train steps that a block's
// checkpoint (or for_each) refers to, each once.
func (m *module) checkpointModels(b *block) []string {
	var names []string
	for _, t := range m.trainsBehind(b) {
		models := []string{}
		if a := t.block.attrs["model"]; a != nil {
			for _, r := range refsOf(a.Expr) {
				models = append(models, r.node)
			}
		}
		for _, i := range t.expanded.instances {
			if c, ok := i.cell("model"); ok {
				models = append(models, stringOf(c.value.GetAttr("address")))
			}
		}
		for _, address := range models {
			name, ok := strings.CutPrefix(address, "model.")
			if n := m.nodes[address]; ok && n != nil && !n.circular && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// trainsBehind follows references of checkpoint and for_each to train steps,
// through locals and other evaluate and export steps' own models.
func (m *module) trainsBehind(b *block) []*node {
	var refs []reference
	for _, name := range []string{"checkpoint", "for_each"} {
		if a := b.attrs[name]; a != nil {
			refs = append(refs, refsOf(a.Expr)...)
		}
	}
	var out []*node
	for _, step := range m.stepsOf(refs) {
		if step.node.stepKind() == pipelines.KindTrain && !slices.Contains(out, step.node) {
			out = append(out, step.node)
		}
	}
	return out
}

func (m *module) refersToStep(b *block) bool { return len(m.trainsBehind(b)) > 0 }
