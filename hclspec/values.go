package hclspec

import (
	"maps"
	"math"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// The types of what a step leaves behind, as expressions see it.
var (
	metricsType    = cty.Map(cty.Number)
	checkpointType = cty.Object(map[string]cty.Type{
		"run_id": cty.String, "name": cty.String, "path": cty.String, "sha256": cty.String,
		"size": cty.Number, "epoch": cty.Number, "global_step": cty.Number, "metrics": metricsType,
	})
	resultTypes = map[pipelines.Kind]map[string]cty.Type{
		pipelines.KindTrain: {
			"run_id": cty.String, "metrics": metricsType, "last_metrics": metricsType, "per_class": cty.Map(metricsType),
			"best": checkpointType, "latest": checkpointType, "artifacts": cty.Map(cty.String),
		},
		pipelines.KindEvaluate: {
			"run_id": cty.String, "metrics": metricsType, "per_class": cty.Map(metricsType), "artifacts": cty.Map(cty.String),
		},
		pipelines.KindExport: {
			"run_id": cty.String, "artifacts": cty.Map(cty.String), "path": cty.String,
		},
		pipelines.KindStep: {"run_id": cty.String, "outputs": cty.Map(cty.String)},
	}
)

// resultAttributes lists what may follow a step's address, sorted.
func resultAttributes(kind pipelines.Kind) []string {
	return slices.Sorted(maps.Keys(resultTypes[kind]))
}

// lateValue stands for the result of a step that has not run.
func lateValue(kind pipelines.Kind, at pipelines.Address) cty.Value {
	return cty.UnknownVal(cty.Object(resultTypes[kind])).Mark(lateMark{at})
}

// resultValue is a step's result as expressions see it.
func resultValue(kind pipelines.Kind, r pipelines.Result) cty.Value {
	all := map[string]cty.Value{
		"run_id":       cty.StringVal(r.RunID),
		"metrics":      numbers(r.Metrics),
		"last_metrics": numbers(r.LastMetrics),
		"per_class":    perClass(r.PerClass),
		"best":         checkpointValue(r.Best),
		"latest":       checkpointValue(r.Latest),
		"artifacts":    artifactPaths(r.Artifacts),
		"path":         exportPath(r.Artifacts),
		"outputs":      texts(r.Outputs),
	}
	out := map[string]cty.Value{}
	for name := range resultTypes[kind] {
		out[name] = all[name]
	}
	return cty.ObjectVal(out)
}

func checkpointValue(c *pipelines.Checkpoint) cty.Value {
	if c == nil {
		return cty.NullVal(checkpointType)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"run_id": cty.StringVal(c.RunID), "name": cty.StringVal(c.Name), "path": cty.StringVal(c.Path), "sha256": cty.StringVal(c.SHA256),
		"size": cty.NumberIntVal(c.Size), "epoch": cty.NumberIntVal(int64(c.Epoch)), "global_step": cty.NumberIntVal(c.GlobalStep),
		"metrics": numbers(c.Metrics),
	})
}

// checkpointOf reads a checkpoint back from an unmarked, known value.
func checkpointOf(v cty.Value) pipelines.Checkpoint {
	text := func(name string) string { return stringOf(v.GetAttr(name)) }
	whole := func(name string) int64 { n, _ := v.GetAttr(name).AsBigFloat().Int64(); return n }
	c := pipelines.Checkpoint{
		RunID: text("run_id"), Name: text("name"), Path: text("path"), SHA256: text("sha256"),
		Size: whole("size"), Epoch: int(whole("epoch")), GlobalStep: whole("global_step"),
	}
	for k, m := range v.GetAttr("metrics").AsValueMap() {
		if c.Metrics == nil {
			c.Metrics = map[string]float64{}
		}
		if m.IsNull() {
			c.Metrics[k] = math.NaN()
			continue
		}
		c.Metrics[k], _ = m.AsBigFloat().Float64()
	}
	return c
}

func stringOf(v cty.Value) string {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// number turns a metric into a value. NaN, which cty has not, becomes null.
func number(x float64) cty.Value {
	switch {
	case math.IsNaN(x):
		return cty.NullVal(cty.Number)
	case math.IsInf(x, 1):
		return cty.PositiveInfinity
	case math.IsInf(x, -1):
		return cty.NegativeInfinity
	}
	return cty.NumberFloatVal(x)
}

func numbers(m map[string]float64) cty.Value {
	if len(m) == 0 {
		return cty.MapValEmpty(cty.Number)
	}
	out := make(map[string]cty.Value, len(m))
	for k, x := range m {
		out[k] = number(x)
	}
	return cty.MapVal(out)
}

func perClass(m map[string]map[string]float64) cty.Value {
	if len(m) == 0 {
		return cty.MapValEmpty(metricsType)
	}
	out := make(map[string]cty.Value, len(m))
	for class, values := range m {
		out[class] = numbers(values)
	}
	return cty.MapVal(out)
}

func texts(m map[string]string) cty.Value {
	if len(m) == 0 {
		return cty.MapValEmpty(cty.String)
	}
	out := make(map[string]cty.Value, len(m))
	for k, s := range m {
		out[k] = cty.StringVal(s)
	}
	return cty.MapVal(out)
}

func artifactPaths(m map[string]pipelines.Artifact) cty.Value {
	out := make(map[string]string, len(m))
	for name, a := range m {
		out[name] = a.Path
	}
	return texts(out)
}

// exportPath is the exported model: model.onnx, or the only artifact.
func exportPath(m map[string]pipelines.Artifact) cty.Value {
	if a, ok := m["model.onnx"]; ok {
		return cty.StringVal(a.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		return cty.StringVal(m[name].Path)
	}
	return cty.NullVal(cty.String)
}
