package hclspec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// monitors are the metric and direction that drive best, by task.
var monitors = map[string][2]string{
	"image_classification":  {"accuracy", "max"},
	"object_detection":      {"map", "max"},
	"instance_segmentation": {"map", "max"},
	"semantic_segmentation": {"miou", "max"},
	"pose_estimation":       {"map", "max"},
}

// metricNames are those that adapters report by convention. An adapter may
// report others, so a name that is not among them is no error; one that
// differs by a letter is worth a warning before a long training.
var metricNames = map[string][]string{
	"image_classification":  {"accuracy", "top5_accuracy", "loss", "precision", "recall", "f1"},
	"object_detection":      {"map", "map50", "loss", "precision", "recall"},
	"instance_segmentation": {"map", "map50", "loss", "precision", "recall"},
	"semantic_segmentation": {"miou", "accuracy", "loss"},
	"pose_estimation":       {"map", "map50", "loss"},
}

const summaryMetric = "Unusual metric name"

func allMetrics() []string {
	var out []string
	for _, task := range slices.Sorted(maps.Keys(metricNames)) {
		out = append(out, metricNames[task]...)
	}
	return out
}

// metricHint is what to say of a metric that is spelled almost like a known one.
func metricHint(name string, known []string) string {
	if slices.Contains(known, name) {
		return ""
	}
	if near := didYouMean(name, known); near != "" {
		return fmt.Sprintf("Adapters report no metric %q by convention.%s", name, near)
	}
	return ""
}

// stepName is the name that one step of a traversal selects.
func stepName(step hcl.Traverser) string {
	switch s := step.(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String {
			return stringOf(s.Key)
		}
	}
	return ""
}
