package nn

import "github.com/trainwright/trainwright/engine/graph"

// Linear declares name.weight [out, in] and name.bias [out] and returns
// x W^T + b for x [..., in]. A nil fill is PyTorch's default.
func (n *Net) Linear(name string, x graph.Value, out int, weight, bias Fill) graph.Value {
	return n.In(name, func() graph.Value {
		in := n.G.Dim(x, -1)
		if weight == nil {
			weight = TorchDefault(in)
		}
		if bias == nil {
			bias = TorchDefault(in)
		}
		w := n.Param(name+".weight", weight, out, in)
		b := n.Param(name+".bias", bias, out)
		return n.G.Linear(x, w, b)
	})
}
