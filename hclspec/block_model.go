package hclspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var modelBlock = &blockSpec{
	Type: "model", Labels: []string{"name"}, Required: []string{"name"},
	Optional: []string{"adapter", "task", "image_size", "num_classes", "weights", "pretrained", "freeze", "license"},
	Words:    map[string][]string{"task": tasks},
	Flags:    []string{"pretrained"},
}

// tasks are the task types of the language; an adapter lists those it takes.
var tasks = []string{"image_classification", "object_detection", "instance_segmentation", "semantic_segmentation", "pose_estimation"}

// modelDecl is a decoded model block.
type modelDecl struct {
	ok      bool // adapter and task are known and fit, so that config can be checked
	block   *block
	spec    pipelines.ModelSpec
	adapter string
	task    string
	unknown map[string][]pipelines.Address
	ranges  map[string]pipelines.Range
}

// value is what model.NAME stands for.
func (d *modelDecl) value() cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"address": cty.StringVal(d.block.address()), "name": cty.StringVal(d.spec.Name), "adapter": cty.StringVal(d.adapter),
		"task": cty.StringVal(d.task), "image_size": cty.NumberIntVal(int64(d.spec.ImageSize)), "num_classes": cty.NumberIntVal(int64(d.spec.NumClasses)),
	})
}

func (e *evaluator) model(name string) *modelDecl {
	n := e.m.nodes["model."+name]
	at := e.home(n)
	if d, ok := at.models[name]; ok {
		return d
	}
	d := at.decodeModel(n.block)
	at.models[name] = d
	return d
}

func (e *evaluator) decodeModel(b *block) *modelDecl {
	s := e.scope(nil)
	d := &modelDecl{block: b, unknown: s.unknown, ranges: s.ranges, adapter: "native"}
	if a, ok := s.text(b, "adapter", "model.adapter", early); ok {
		d.adapter = a
	}
	if name, ok := s.text(b, "name", "model.name", early); ok {
		if d.spec.Name = name; name == "" {
			s.fail(b.at("name"), "Invalid value", "\"name\" must be the name of a model, not an empty text. List them with: runner models")
		}
	}
	d.task, _ = s.oneOf(b, "task", "model.task")
	d.ok = e.m.fitModel(s, b, d)
	if n, ok := s.whole(b, "image_size", "model.image_size", 8, 4096); ok {
		d.spec.ImageSize = int(n)
	}
	if n, ok := s.whole(b, "num_classes", "model.num_classes", 1, 1_000_000); ok {
		d.spec.NumClasses = int(n)
	}
	d.spec.Freeze, _ = s.texts(b, "freeze", "model.freeze")
	for _, glob := range d.spec.Freeze {
		if strings.Count(glob, "[") != strings.Count(glob, "]") {
			s.fail(b.at("freeze"), "Invalid value", "%q is no glob: its brackets do not match. Globs go over parameter names: \"layer1.*\".", glob)
		}
	}
	if l, ok := s.text(b, "license", "model.license", early); ok {
		d.spec.License = l
	}
	s.weights(b, d)
	e.m.checkLicense(s, b, d)
	e.diags = append(e.diags, s.diags...)
	return d
}

// weights decodes where a model's weights come from.
func (s *scope) weights(b *block, d *modelDecl) {
	d.spec.Pretrained, _ = s.boolean(b, "pretrained", "model.pretrained")
	if d.spec.Pretrained && b.attrs["weights"] != nil {
		s.fail(b.at("pretrained"), "Contradicting arguments", "A model starts from weights or from pretrained = true, not both. Remove one.")
	}
	v, ok := s.attr(b, "weights", "model.weights", late)
	if !ok {
		s.misfit(b.at("weights"), "weights", "model.weights", "a path or a checkpoint (train.NAME.best)", cty.String, checkpointType)
		return
	}
	switch {
	case v.Type() == cty.String:
		path := v.AsString()
		d.spec.Weights = &pipelines.WeightsFile{Path: s.e.m.resolvePath(path)}
	case v.Type().Equals(checkpointType):
		c := checkpointOf(v)
		d.spec.Weights = &pipelines.WeightsFile{Checkpoint: &c}
	default:
		s.wrong(b.at("weights"), "weights", v, "a path or a checkpoint (train.NAME.best)")
	}
}

// fitModel checks adapter, task and name against the catalog, and takes the
// model's own image size and licence.
func (m *module) fitModel(s *scope, b *block, d *modelDecl) bool {
	a, ok := m.adapter(d.adapter)
	if !ok {
		m.unknownAdapter(s, b, d)
		return false
	}
	if d.task == "" {
		if _, written := b.attrs["task"]; written {
			return false
		}
		if d.task = m.onlyTask(a, d.spec.Name); d.task == "" {
			s.fail(b.head, "Missing required argument", "Block model needs the argument \"task\", because the task of %q is not clear from its name: %s.", d.spec.Name, orList(a.Tasks))
			return false
		}
	}
	if !slices.Contains(a.Tasks, d.task) {
		m.notYet(s, b.at("task"), fmt.Sprintf("The adapter %q takes %s, not %s.", a.Name, orList(a.Tasks), d.task))
		return false
	}
	if d.spec.Name == "" {
		return true
	}
	if strings.HasSuffix(d.spec.Name, ".onnx") {
		m.notYet(s, b.at("name"), "Training a model from an .onnx file is not part of this version.")
		return true
	}
	models := m.opts.Catalog.Models(a.Name, d.task)
	i := slices.IndexFunc(models, func(x Model) bool { return x.Name == d.spec.Name })
	if i < 0 {
		names := make([]string, len(models))
		for i, x := range models {
			names[i] = x.Name
		}
		near := didYouMean(d.spec.Name, names)
		if near == "" && len(names) <= 12 {
			near = " There is " + join(names, "and") + "."
		}
		s.fail(b.at("name"), "Unknown model", "The adapter %q has no model %q for %s.%s List them with: runner models --framework %s", a.Name, d.spec.Name, d.task, near, a.Name)
		return true
	}
	x := models[i]
	d.spec.ImageSize, d.spec.License = x.ImageSize, x.License
	if v, ok := b.attrs["pretrained"]; ok && !x.Pretrained {
		if on, _ := s.e.eval(v.Expr, nil); on.IsKnown() && !on.IsNull() && on.Type() == cty.Bool && on.True() {
			s.fail(v.Expr.Range(), "No pretrained weights", "There are no pretrained weights for %q. Remove the argument, or give weights = \"PATH.safetensors\".", x.Name)
		}
	}
	return true
}

func (m *module) adapter(name string) (Adapter, bool) {
	if m.opts.Catalog == nil {
		return Adapter{}, false
	}
	all := m.opts.Catalog.Adapters()
	i := slices.IndexFunc(all, func(a Adapter) bool { return a.Name == name })
	if i < 0 {
		return Adapter{}, false
	}
	return all[i], true
}

func (m *module) unknownAdapter(s *scope, b *block, d *modelDecl) {
	if d.adapter == "" {
		return
	}
	var names []string
	if m.opts.Catalog != nil {
		for _, a := range m.opts.Catalog.Adapters() {
			names = append(names, a.Name)
		}
	}
	declared := m.nodes["adapter."+d.adapter] != nil
	if declared && m.opts.External != nil {
		return // why it is not known is told at its block
	}
	if declared {
		m.notYet(s, b.at("adapter"), fmt.Sprintf("The adapter %q is not part of this version.", d.adapter))
		if m.opts.Validate {
			s.diags = append(s.diags, warning(b.at("adapter"), "Config is not checked", "The adapter %q is not part of this version, so models and config of it cannot be checked.", d.adapter))
		}
		return
	}
	s.fail(b.at("adapter"), "Unknown adapter", "There is no adapter %q; there is %s.%s", d.adapter, join(names, "and"), didYouMean(d.adapter, names))
}

// onlyTask is the one task that an adapter has a model for; "" if not exactly one.
func (m *module) onlyTask(a Adapter, model string) string {
	if len(a.Tasks) == 1 {
		return a.Tasks[0]
	}
	found := ""
	for _, task := range a.Tasks {
		if slices.ContainsFunc(m.opts.Catalog.Models(a.Name, task), func(x Model) bool { return x.Name == model }) {
			if found != "" {
				return ""
			}
			found = task
		}
	}
	return found
}
