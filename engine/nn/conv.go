package nn

import "github.com/trainwright/trainwright/engine/graph"

// ConvOptions describe a convolution layer with a square kernel.
type ConvOptions struct {
	Out    int // output channels
	Kernel int
	Stride int  // 0 means 1
	Pad    int  // zeros on each side
	Group  int  // 0 means 1
	Bias   Fill // nil means no bias
	Weight Fill // nil means KaimingFanOut
}

// Conv declares name.weight [Out, C/Group, Kernel, Kernel], and name.bias [Out]
// if it has one, and convolves x [N, C, H, W] with them.
func (n *Net) Conv(name string, x graph.Value, o ConvOptions) graph.Value {
	return n.In(name, func() graph.Value {
		group := max(o.Group, 1)
		fill := o.Weight
		if fill == nil {
			fill = KaimingFanOut(o.Out, o.Kernel)
		}
		w := n.Param(name+".weight", fill, o.Out, n.G.Dim(x, 1)/group, o.Kernel, o.Kernel)
		y := n.G.Conv(x, w, graph.ConvAttrs{Stride: o.Stride, Pad: o.Pad, Group: group})
		if o.Bias != nil {
			y = n.G.AddChannels(y, n.Param(name+".bias", o.Bias, o.Out))
		}
		return y
	})
}

// ConvLinear is a 1x1 convolution with bias of x [N, C], which stands for
// images of one pixel. Its kernel is declared as [out, C, 1, 1].
func (n *Net) ConvLinear(name string, x graph.Value, out int, weight, bias Fill) graph.Value {
	return n.In(name, func() graph.Value {
		in := n.G.Dim(x, 1)
		w := n.Param(name+".weight", weight, out, in, 1, 1)
		b := n.Param(name+".bias", bias, out)
		return n.G.Linear(x, n.G.Reshape(w, out, in), b)
	})
}
