package hclspec

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var datasetBlock = &blockSpec{
	Type: "dataset", Labels: []string{"name"},
	Optional: []string{"format", "path", "paths", "union", "classes", "transforms"},
	Blocks:   []*blockSpec{splitBlock, checksBlock},
	Words:    map[string][]string{"format": datasetFormats},
}

var (
	splitBlock  = &blockSpec{Type: "split", Optional: []string{"train", "val", "test", "seed", "stratify"}, Flags: []string{"stratify"}}
	checksBlock = &blockSpec{Type: "checks", Optional: []string{"max_corrupt", "min_per_class", "leakage"},
		Words: map[string][]string{"leakage": {"error", "warn", "ignore"}}}
)

// datasetFormats are the formats of the language; an adapter lists those it takes.
var datasetFormats = []string{"dice", "imagefolder", "coco", "yolo", "voc", "custom"}

var splitNames = []string{"train", "val", "test"}

// datasetDecl is a decoded dataset block.
type datasetDecl struct {
	ok      bool
	block   *block
	spec    pipelines.DatasetSpec
	unknown map[string][]pipelines.Address
	ranges  map[string]pipelines.Range
	pathVal cty.Value
}

// value is what dataset.NAME stands for.
func (d *datasetDecl) value() cty.Value {
	path := d.pathVal
	if path == cty.NilVal {
		path = cty.NullVal(cty.String)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"address": cty.StringVal(d.block.address()), "name": cty.StringVal(d.spec.Name),
		"format": cty.StringVal(d.spec.Format), "path": path,
	})
}

func (e *evaluator) dataset(name string) *datasetDecl {
	n := e.m.nodes["dataset."+name]
	at := e.home(n)
	if d, ok := at.datasets[name]; ok {
		return d
	}
	d := at.decodeDataset(n.block)
	at.datasets[name] = d
	return d
}

func (e *evaluator) decodeDataset(b *block) *datasetDecl {
	s := e.scope(nil)
	d := &datasetDecl{block: b, unknown: s.unknown, ranges: s.ranges}
	d.spec = pipelines.DatasetSpec{Name: b.name(), Range: toRange(b.head)}
	d.spec.Format, _ = s.oneOf(b, "format", "dataset.format")
	if a, ok := b.attrs["path"]; ok {
		d.pathVal, _ = e.eval(a.Expr, nil)
	}
	if path, ok := s.text(b, "path", "dataset.path", late); ok {
		d.spec.Path = e.m.resolvePath(path)
		e.m.checkDataPath(s, b.at("path"), path)
	}
	d.spec.Paths = s.textMap(b, "paths", "dataset.paths", late, nil)
	for _, split := range slices.Sorted(maps.Keys(d.spec.Paths)) {
		if !slices.Contains(splitNames, split) {
			s.fail(entryRange(b.attrs["paths"].Expr, split), "Invalid value", "paths has no split %q; there are %s.%s", split, orList(splitNames), didYouMean(split, splitNames))
		}
		d.spec.Paths[split] = e.m.resolvePath(d.spec.Paths[split])
	}
	d.spec.Union = e.union(s, b)
	d.spec.Classes, _ = s.texts(b, "classes", "dataset.classes")
	for i, c := range d.spec.Classes {
		if c == "" || slices.Contains(d.spec.Classes[:i], c) {
			s.fail(b.at("classes"), "Invalid value", "\"classes\" must hold different, non-empty names; %q is not.", c)
		}
	}
	if v, ok := s.attr(b, "transforms", "dataset.transforms", early); ok {
		if d.spec.Transforms, ok = toGo(v, true).(map[string]any); !ok {
			s.wrong(b.at("transforms"), "transforms", v, "an object")
		}
	}
	s.datasetOrigin(b)
	if split := b.one("split"); split != nil {
		d.spec.Split = s.split(split)
	}
	d.spec.Checks = pipelines.DatasetChecks{Leakage: "error"}
	if c := b.one("checks"); c != nil {
		s.datasetChecks(c, &d.spec.Checks)
	}
	e.diags = append(e.diags, s.diags...)
	d.ok = !s.diags.HasErrors()
	return d
}

// datasetOrigin checks that a dataset says where its images are, once.
func (s *scope) datasetOrigin(b *block) {
	var given []string
	for _, name := range []string{"path", "paths", "union"} {
		if _, ok := b.attrs[name]; ok {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0:
		s.fail(b.head, "Missing required argument", "A dataset needs path, paths or union.")
	case len(given) > 1:
		s.fail(b.attrs[given[1]].NameRange, "Contradicting arguments", "A dataset has one of path, paths and union; %s is given as well.", given[0])
	case given[0] != "union" && b.attrs["format"] == nil:
		s.fail(b.head, "Missing required argument", "A dataset needs the argument \"format\": %s.", orList(datasetFormats))
	}
}

// union decodes union = [dataset.a, dataset.b].
func (e *evaluator) union(s *scope, b *block) []pipelines.DatasetSpec {
	a, ok := b.attrs["union"]
	if !ok {
		return nil
	}
	list, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() || len(list) == 0 {
		s.fail(a.Expr.Range(), "Invalid value", "\"union\" must be a list of datasets: [dataset.a, dataset.b].")
		return nil
	}
	var out []pipelines.DatasetSpec
	for i, item := range list {
		address, ok := s.blockRef(item.(hclsyntax.Expression), "dataset", "union")
		if !ok {
			continue
		}
		if n := e.m.nodes[address]; n == nil || n.circular {
			continue
		}
		d := e.dataset(strings.TrimPrefix(address, "dataset."))
		for path, waits := range d.unknown {
			s.unknown[strings.Replace(path, "dataset.", fmt.Sprintf("dataset.union.%d.", i), 1)] = waits
		}
		out = append(out, d.spec)
	}
	return out
}

func (s *scope) split(b *block) *pipelines.Split {
	out := &pipelines.Split{Train: 0.8, Val: 0.2}
	explicit := false
	for name, to := range map[string]*float64{"train": &out.Train, "val": &out.Val, "test": &out.Test} {
		if x, ok := s.float(b, name, "dataset.split."+name, 0, 1); ok {
			*to, explicit = x, true
		}
	}
	if explicit && b.attrs["val"] == nil && out.Train+out.Test <= 1 {
		out.Val = math.Round((1-out.Train-out.Test)*1e9) / 1e9
	}
	if sum := out.Train + out.Val + out.Test; sum > 1+1e-9 {
		s.fail(b.head, "Invalid value", "train, val and test are fractions of the whole and may sum to at most 1, not %g.", sum)
	}
	if out.Train == 0 {
		s.fail(b.head, "Invalid value", "The train split must not be empty.")
	}
	out.Seed, _ = s.whole(b, "seed", "dataset.split.seed", 0, 1<<53)
	out.Stratify = true
	if v, ok := s.boolean(b, "stratify", "dataset.split.stratify"); ok {
		out.Stratify = v
	}
	return out
}

func (s *scope) datasetChecks(b *block, out *pipelines.DatasetChecks) {
	if n, ok := s.whole(b, "max_corrupt", "dataset.checks.max_corrupt", 0, 1<<31); ok {
		out.MaxCorrupt = int(n)
	}
	if n, ok := s.whole(b, "min_per_class", "dataset.checks.min_per_class", 0, 1<<31); ok {
		out.MinPerClass = int(n)
	}
	if l, ok := s.oneOf(b, "leakage", "dataset.checks.leakage"); ok {
		out.Leakage = l
	}
}

// resolvePath makes a path absolute; URLs stay as they are.
func (m *module) resolvePath(path string) string {
	if path == "" || strings.Contains(path, "://") || filepath.IsAbs(path) {
		return path
	}
	if m.opts.Base != "" {
		return filepath.Join(m.opts.Base, path)
	}
	return filepath.Join(m.dir, path)
}
