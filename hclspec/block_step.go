package hclspec

import (
	"regexp"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

var stepBlock = &blockSpec{
	Type: "step", Labels: []string{"name"}, Required: []string{"command"},
	Optional: append([]string{"image", "inputs", "outputs"}, commonArguments...),
	Blocks:   []*blockSpec{retryBlock},
}

// command decodes a step block: any work in a container.
func (s *scope) command(b *block, d *decoded) {
	c := &pipelines.CommandSpec{}
	d.spec.Command = c
	if image, ok := s.text(b, "image", "command.image", early); ok {
		c.Image = s.image(b, image)
	}
	list, ok := s.texts(b, "command", "command.command")
	if c.Command = list; ok && len(list) == 0 {
		s.fail(b.at("command"), "Invalid value", "\"command\" must name a program: [\"sh\", \"-c\", \"…\"].")
	}
	c.Inputs = s.textMap(b, "inputs", "command.inputs", late, nil)
	for name, path := range c.Inputs {
		c.Inputs[name] = s.e.m.resolvePath(path)
	}
	c.Outputs = s.textMap(b, "outputs", "command.outputs", early, nil)
	for name, path := range c.Outputs {
		c.Outputs[name] = s.e.m.resolvePath(path)
	}
	for attr, names := range map[string]map[string]string{"inputs": c.Inputs, "outputs": c.Outputs} {
		for name := range names {
			if !partName.MatchString(name) {
				s.fail(entryRange(b.attrs[attr].Expr, name), "Invalid name", "%q cannot name one of the %s: it is a file's name in the container, of letters, digits, \".\", \"_\" and \"-\".", name, attr)
			}
		}
	}
	if b.attrs["executor"] == nil {
		d.executor = s.e.m.onlyContainerExecutor(s, b)
	}
}

// partName is the name of an input or output of a step.
var partName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// containerOf checks what a step's container needs of its executor.
func (s *scope) containerOf(b *block, executor pipelines.Address) {
	n := s.e.m.nodes[string(executor)]
	if n == nil {
		return
	}
	switch kind := n.block.labels[0]; {
	case kind == "local":
		s.fail(b.at("executor"), "Invalid executor", "%s runs a command in a container, and a local executor runs none. Declare an executor \"dagger\" or \"kubernetes\" block and name it.", b.address())
	case kind == "remote":
		s.fail(b.at("executor"), "Invalid executor", "%s runs a command in a container, and executor \"remote\" runs train, evaluate and export only. Declare an executor \"dagger\" or \"kubernetes\" block and name it.", b.address())
	case kind == "kubernetes" && !hasWritableVolume(n.block):
		s.fail(b.at("executor"), "Invalid executor", "%s gets its inputs and leaves its outputs on a volume, and %s has none that is writable. Add volume { claim = \"NAME\", path = \"/mnt/work\" } there, a volume that this machine sees under the same path, and keep the pipeline's folder on it.", b.address(), executor)
	case b.attrs["image"] == nil && n.block.attrs["image"] == nil:
		s.fail(b.head, "Missing required argument", "%s needs an \"image\": here, or in %s, whose image is then used.", b.address(), executor)
	}
}

// hasWritableVolume reports that an executor "kubernetes" block has a volume
// that pods may write to.
func hasWritableVolume(executor *block) bool {
	return slices.ContainsFunc(executor.blocks["volume"], func(v *block) bool {
		a := v.attrs["read_only"]
		if a == nil {
			return true
		}
		readOnly, diags := a.Expr.Value(nil)
		return diags.HasErrors() || readOnly.Type() != cty.Bool || !readOnly.IsKnown() || readOnly.IsNull() || readOnly.False()
	})
}

// onlyContainerExecutor is where a step without executor runs.
func (m *module) onlyContainerExecutor(s *scope, b *block) pipelines.Address {
	var found []string
	for _, x := range m.blocksOf("executor") {
		if kind := x.labels[0]; kind == "dagger" || kind == "kubernetes" {
			found = append(found, x.address())
		}
	}
	switch len(found) {
	case 1:
		return pipelines.Address(found[0])
	case 0:
		s.fail(b.head, "Missing executor", "A step runs in a container, and the pipeline declares no container executor. Add an executor \"dagger\" or executor \"kubernetes\" block.")
	default:
		s.fail(b.head, "Missing executor", "The pipeline declares several container executors (%s). Say which with: executor = %s", join(found, "and"), found[0])
	}
	return ""
}
