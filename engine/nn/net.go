package nn

import "github.com/trainwright/trainwright/engine/graph"

// Net adds layers to the graph G. With Training, batch norm uses and tracks
// the statistics of the batch; without, the tracked ones.
type Net struct {
	G        *graph.Graph
	Training bool
	Init     []Init // of every parameter and buffer, in order of declaration
}

// Param declares a trainable tensor.
func (n *Net) Param(name string, fill Fill, shape ...int) graph.Value {
	n.Init = append(n.Init, Init{Name: name, Shape: shape, Fill: fill})
	return n.G.Param(name, shape...)
}

// Buffer declares a float32 tensor that is kept but not trained.
func (n *Net) Buffer(name string, fill Fill, shape ...int) graph.Value {
	n.Init = append(n.Init, Init{Name: name, Shape: shape, Fill: fill, Buffer: true})
	return n.G.State(name, graph.Float32, shape...)
}

// In runs build with the graph's scope set to name, for error messages.
func (n *Net) In(name string, build func() graph.Value) graph.Value {
	old := n.G.SetScope(name)
	defer n.G.SetScope(old)
	return build()
}
