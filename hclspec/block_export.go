package hclspec

import (
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

var exportBlock = &blockSpec{
	Type: "export", Labels: []string{"name"}, Required: []string{"checkpoint"},
	Optional: append([]string{"model", "dataset", "format", "precision", "max_metric_drop"}, commonArguments...),
	Blocks:   []*blockSpec{retryBlock},
	Words:    map[string][]string{"format": {"onnx"}, "precision": {"fp32", "fp16", "int8"}},
}

// export decodes an export block.
func (s *scope) export(n *node, d *decoded) {
	b := n.block
	x := &pipelines.ExportSpec{Format: "onnx", Precision: "fp32"}
	d.spec.Export = x
	s.modelOfCheckpoint(n, d)
	if b.attrs["dataset"] != nil {
		s.useDataset(b, d)
	} else {
		s.datasetOfCheckpoint(b, d)
	}
	if c, ok := s.checkpoint(b, "export.checkpoint"); ok {
		x.Checkpoint = c
	}
	s.oneOf(b, "format", "export.format")
	if p, ok := s.oneOf(b, "precision", "export.precision"); ok {
		x.Precision = p
		if p != "fp32" {
			s.e.m.notYet(s, b.at("precision"), fmt.Sprintf("Exporting with precision %q is not part of this version.", p))
		}
	}
	if drop, ok := s.float(b, "max_metric_drop", "export.max_metric_drop", 0, 1); ok {
		x.MaxMetricDrop = &drop
		s.e.m.notYet(s, b.at("max_metric_drop"), "Evaluating an exported model again is not part of this version.")
	}
}

// datasetOfCheckpoint takes the dataset of the train step behind the
// checkpoint when there is exactly one: its classes and its validation split.
func (s *scope) datasetOfCheckpoint(b *block, d *decoded) {
	var names []string
	for _, t := range s.e.m.trainsBehind(b) {
		if a := t.block.attrs["dataset"]; a != nil {
			for _, r := range refsOf(a.Expr) {
				if !slices.Contains(names, r.node) {
					names = append(names, r.node)
				}
			}
		}
	}
	if len(names) != 1 {
		return
	}
	if n := s.e.m.nodes[names[0]]; n != nil && !n.circular && n.block != nil && n.block.spec == datasetBlock {
		data := s.e.dataset(n.block.name())
		spec := data.spec
		d.spec.Dataset = &spec
		s.merge(data.unknown, data.ranges)
	}
}
