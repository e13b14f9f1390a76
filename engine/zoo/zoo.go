package zoo

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/weights"
)

// Model is one entry of the zoo.
type Model struct {
	Info
	// forward adds the model to a net and returns the logits [N, classes] of
	// normalised images [N, 3, H, W].
	forward func(n *nn.Net, images graph.Value, classes int) graph.Value
}

// All lists the models in the order in which they are shown.
var All = []Model{
	convnet,
	resnet18,
	resnet34,
	resnet50,
	mobilenetV3Small,
	vitTiny,
	vitSmall,
	convnextTiny,
}

// Options say how a model is built.
type Options struct {
	NumClasses int
	Training   bool     // batch statistics, tracked in the graph
	Freeze     []string // glob patterns over parameter names; see weights.Frozen
}

// Built is a model within a graph.
type Built struct {
	Info   Info
	Logits graph.Value // float32 [N, NumClasses]
	Init   []nn.Init   // every parameter and buffer
}

// Build adds the named model to g. images is float32 [N, 3, S, S], normalised
// by the model's Mean and Std; S need not be the default size.
func Build(g *graph.Graph, name string, images graph.Value, o Options) (Built, error) {
	m, err := Lookup(name)
	if err != nil {
		return Built{}, err
	}
	return m.Build(g, images, o)
}

// Build adds the model to g; see the function Build.
func (m Model) Build(g *graph.Graph, images graph.Value, o Options) (Built, error) {
	if err := g.Err(); err != nil {
		return Built{}, err
	}
	s := g.Shape(images)
	if len(s) != 4 || s[1] != 3 || s[2] != s[3] || g.DType(images) != graph.Float32 {
		return Built{}, fmt.Errorf("model %s takes square float32 images [N, 3, S, S], not %v", m.Name, g.Type(images))
	}
	if err := m.CheckSize(s[2]); err != nil {
		return Built{}, err
	}
	if o.NumClasses < 1 {
		return Built{}, fmt.Errorf("model %s needs at least one class, not %d", m.Name, o.NumClasses)
	}
	n := &nn.Net{G: g, Training: o.Training}
	logits := m.forward(n, images, o.NumClasses)
	if err := freeze(g, o.Freeze); err != nil {
		return Built{}, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return Built{Info: m.Info, Logits: logits, Init: n.Init}, g.Err()
}

func freeze(g *graph.Graph, patterns []string) error {
	if len(patterns) == 0 || g.Err() != nil {
		return nil
	}
	var names []string
	values := map[string]graph.Value{}
	for _, p := range g.Params() {
		names = append(names, p.Name)
		values[p.Name] = p.Value
	}
	frozen, err := weights.Frozen(patterns, names)
	if err != nil {
		return err
	}
	for _, name := range frozen {
		g.Freeze(values[name])
	}
	if len(frozen) == len(names) {
		return fmt.Errorf("freeze = %q leaves no parameter to train", patterns)
	}
	return nil
}

// Wants lists the tensors that a file of weights must hold for the model.
func (b Built) Wants() []weights.Param {
	want := make([]weights.Param, len(b.Init))
	for i, p := range b.Init {
		want[i] = weights.Param{Name: p.Name, Shape: p.Shape}
	}
	return want
}
