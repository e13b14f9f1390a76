package zoo

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
)

var convnextTiny = Model{
	Info: Info{
		Name: "convnext_tiny", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 1,
		Parameters: 28589128, Hub: "timm/convnext_tiny.in12k_ft_in1k", Classifier: []string{"head.fc.weight", "head.fc.bias"},
		Description: "ConvNeXt, tiny (Liu et al., 2022): a convolutional network in the manner of vision transformers, 7x7 depthwise convolutions",
		License:     "apache-2.0", Mean: imagenetMean, Std: imagenetStd, Interpolation: "bicubic", CropPct: 0.95,
	},
	forward: convnext{depths: [4]int{3, 3, 9, 3}, widths: [4]int{96, 192, 384, 768}}.forward,
}

// convnext is the shape of a ConvNeXt: blocks and channels of each stage.
type convnext struct{ depths, widths [4]int }

const (
	convnextEps   = 1e-6
	convnextScale = 1e-6 // at which each block's branch starts
)

func (c convnext) forward(n *nn.Net, x graph.Value, classes int) graph.Value {
	x = convnextConv(n, "stem.0", x, nn.ConvOptions{Out: c.widths[0], Kernel: 4, Stride: 4})
	x = n.LayerNormChannels("stem.1", x, convnextEps)
	for s, depth := range c.depths {
		stage := fmt.Sprintf("stages.%d", s)
		if s > 0 {
			x = n.LayerNormChannels(stage+".downsample.0", x, convnextEps)
			x = convnextConv(n, stage+".downsample.1", x, nn.ConvOptions{Out: c.widths[s], Kernel: 2, Stride: 2})
		}
		for b := range depth {
			x = convnextBlock(n, fmt.Sprintf("%s.blocks.%d", stage, b), x)
		}
	}
	x = n.LayerNorm("head.norm", pool(n, x), convnextEps)
	return n.Linear("head.fc", x, classes, convnextInit, nn.Constant(0))
}

// convnextBlock adds to x [N, C, H, W] a depthwise convolution, then on each
// pixel a norm, two linear layers and a scale for each channel.
func convnextBlock(n *nn.Net, name string, x graph.Value) graph.Value {
	g := n.G
	width := g.Dim(x, 1)
	gamma := n.Param(name+".gamma", nn.Constant(convnextScale), width)
	y := convnextConv(n, name+".conv_dw", x, nn.ConvOptions{Out: width, Kernel: 7, Pad: 3, Group: width})
	y = n.LayerNorm(name+".norm", g.Transpose(y, 0, 2, 3, 1), convnextEps)
	y = g.Gelu(n.Linear(name+".mlp.fc1", y, 4*width, convnextInit, nn.Constant(0)))
	y = n.Linear(name+".mlp.fc2", y, width, convnextInit, nn.Constant(0))
	return g.Add(x, g.Transpose(g.Mul(y, gamma), 0, 3, 1, 2))
}

var convnextInit = nn.TruncNormal(0.02, -2, 2)

func convnextConv(n *nn.Net, name string, x graph.Value, o nn.ConvOptions) graph.Value {
	o.Weight, o.Bias = convnextInit, nn.Constant(0)
	return n.Conv(name, x, o)
}
