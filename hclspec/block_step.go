package hclspec

import (
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

var stepBlock = &blockSpec{
	Type: "step", Labels: []string{"name"}, Required: []string{"image", "command"},
	Optional: append([]string{"inputs", "outputs"}, commonArguments...),
	Blocks:   []*blockSpec{retryBlock},
}

// command decodes a step block: any work in a container.
func (s *scope) command(b *block, d *decoded) {
	c := &pipelines.CommandSpec{}
	d.spec.Command = c
	c.Image, _ = s.text(b, "image", "command.image", early)
	if b.attrs["image"] != nil && strings.TrimSpace(c.Image) != c.Image {
		s.fail(b.at("image"), "Invalid value", "\"image\" must be the name of a container image, not %q.", c.Image)
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
	if b.attrs["executor"] == nil {
		d.executor = s.e.m.onlyContainerExecutor(s, b)
	}
	s.e.m.notYet(s, b.head, "Steps that run a container are not part of this version.")
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
